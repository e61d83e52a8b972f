"""Random Telegram updates from the table of types (tests/fixtures/telegram-types.json).

    sound(seed)     every type and every field reachable from Update at least once, then at random: well-formed updates
    hostile(seed)   the same with values of wrong types, huge numbers, deep nesting, strange texts; sound JSON objects
                    with a proper update_id all the same
Both yield dicts without end."""
import json
import os
import random

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fixtures/telegram-types.json")) as f:
    TYPES = json.load(f)

TEXTS = ["", "hello", "/start", "/start CODE-1", "/START@some_bot x", "/help", "/stop", "\u0000", "a\u0000b",
         "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u202eright to left\u202c", "\u05e9\u05dc\u05d5\u05dd",
         "\u0645\u0631\u062d\u0628\u0627", "<b>&amp;\"'", "%s%n", "'; drop table users; --", "line\nline\r\n\t", "x" * 4096,
         "\ud83d\ude00", "\ufeff", "\u2028", "\\", "\x7f\x1b[31m", "age:yes:abcd1234", "::::::::::", ":" * 64]
INTEGERS = [0, 1, -1, 42, 2**31 - 1, -2**31, 2**32 + 1, 2**52 - 1, -(2**52 - 1), -1001234567890123]
HUGE = [2**53 + 1, 2**63 - 1, -2**63, 2**63, 2**64, -10**30, 10**300]
# what the platform uses as words, so that sound updates mean something
WORDS = {"type": ["private", "group", "supergroup", "channel", "bot_command", "mention"],
         "status": ["creator", "administrator", "member", "restricted", "left", "kicked"],
         "chat_type": ["sender", "private", "group"], "language_code": ["en", "de", "uk", "pt-br"]}
DEPTH = 5  # optional fields only above, except on the way to a field that is wanted


def _base(type_):
    while type_.startswith("Array of "):
        type_ = type_[9:]
    return type_


def _steps(type_):
    """(field, type inside) of a type; the field is None for the choice of a union."""
    entry = TYPES.get(type_, {"fields": {}})
    if "any" in entry:
        return [(None, _base(t)) for t in entry["any"]]
    return [(f, _base(t)) for f, (types, _) in entry["fields"].items() for t in types]


def _paths():
    """type -> the shortest way to it from Update, as steps."""
    paths, todo = {"Update": []}, ["Update"]
    for type_ in todo:
        for step in _steps(type_):
            if step[1] not in paths:
                paths[step[1]] = paths[type_] + [step]
                todo.append(step[1])
    return paths


def _heights():
    """type -> how deep it must nest at least: unions above DEPTH take their flattest member."""
    heights = {t: 0 for t in ("Integer", "Float", "Boolean", "String")}
    for _ in TYPES:
        for type_, entry in TYPES.items():
            if "any" in entry:
                known = [heights[_base(t)] for t in entry["any"] if _base(t) in heights]
                needs = min(known) if known else None
            else:
                inside = [min((heights.get(_base(t), 99) for t in types)) for types, must in entry["fields"].values()
                          if must]
                needs = max(inside, default=0) if max(inside, default=0) < 99 else None
            if needs is not None:
                heights[type_] = needs + 1
    return heights


PATHS, HEIGHTS = _paths(), _heights()


class Maker:
    def __init__(self, seed, hostile):
        self.random = random.Random(seed)
        self.hostile = hostile
        self.todo = sorted((t, f) for t, d in TYPES.items() for f in d.get("fields", {}))
        self.random.shuffle(self.todo)
        self.made = set()

    def hostile_value(self):
        r = self.random
        kind = r.randrange(8)
        if kind < 5:
            return r.choice([None, True, False, [], {}, 1.5, -0.0, 1e-300, 1e300] + HUGE + TEXTS)
        deep = {"id": 1} if kind == 6 else []
        for _ in range(r.choice([1, 10, 120])):
            deep = [deep] if r.random() < 0.5 else {"chat": deep, "id": 5}
        return deep

    def value(self, type_, name, depth, path):
        r = self.random
        if self.hostile and r.random() < 0.08:
            return self.hostile_value()
        if type_.startswith("Array of "):
            first = self.value(type_[9:], name, depth + 1, path)
            more = r.random() < 0.3 and depth < DEPTH
            return [first] + ([self.value(type_[9:], name, depth + 1, [])] if more else [])
        if type_ == "Integer":
            return r.choice(INTEGERS + (HUGE if self.hostile else []))
        if type_ == "Float":
            return r.choice([0.5, -33.868820, 1e-7, 151.2093])
        if type_ == "Boolean":
            return r.random() < 0.5
        if type_ == "String":
            return r.choice(WORDS[name]) if name in WORDS and r.random() < 0.9 else r.choice(TEXTS)
        if "any" in TYPES[type_]:
            return self.member(TYPES[type_]["any"], name, depth, path)
        return self.object(type_, depth, path)

    def member(self, types, name, depth, path):
        """One of several types: the one on the path, or any, or far down the flattest."""
        if path:
            on_path = [t for t in types if _base(t) == path[0][1]]
            rest = path[1:]
        else:
            on_path, rest = [], []
        if not on_path and depth > DEPTH:
            on_path = [min(types, key=lambda t: HEIGHTS.get(_base(t), 0))]
        return self.value(self.random.choice(on_path or types), name, depth + 1, rest if on_path else [])

    def object(self, type_, depth, path):
        r = self.random
        out = {}
        fields = list(TYPES[type_]["fields"].items())
        r.shuffle(fields)
        for name, (types, required) in fields:
            on_path = path and path[0][0] == name
            if not on_path and not required and (depth >= DEPTH or r.random() > 0.06):
                continue
            if not on_path and self.hostile and r.random() < 0.03:
                continue
            self.made.add((type_, name))
            if on_path:
                if path[0][1] is None:  # the wanted field itself: any of its types
                    out[name] = self.value(r.choice(types), name, depth + 1, [])
                else:
                    chosen = [t for t in types if _base(t) == path[0][1]]
                    out[name] = self.value(chosen[0], name, depth + 1, path[1:])
            elif len(types) > 1:
                out[name] = self.member(types, name, depth, [])
            else:
                out[name] = self.value(types[0], name, depth + 1, [])
        return out

    def update(self, update_id):
        r = self.random
        while self.todo and self.todo[-1] in self.made:
            self.todo.pop()
        if self.todo:
            wanted = self.todo.pop()
        else:
            kinds = [k for k in TYPES["Update"]["fields"] if k != "update_id"]
            wanted = ("Update", r.choice(kinds))
        path = PATHS[wanted[0]] + [(wanted[1], None)]
        out = {"update_id": update_id}
        self.made.add(("Update", "update_id"))
        if path[0][0] != "update_id":
            name = path[0][0]
            self.made.add(("Update", name))
            out[name] = self.value(TYPES["Update"]["fields"][name][0][0], name, 1, path[1:])
        if self.hostile and r.random() < 0.1:
            out[r.choice(["of_tomorrow", "", "\u0000", "update_id "])] = self.hostile_value()
        return out


def _updates(seed, hostile, first_id):
    maker = Maker(seed, hostile)
    update_id = first_id
    while True:
        yield maker.update(update_id)
        update_id += 1


def sound(seed, first_id=1):
    return _updates(seed, False, first_id)


def hostile(seed, first_id=1):
    return _updates(seed, True, first_id)


def covering(seed, first_id=1):
    """Sound updates until every type and field has occurred, and what has not (nothing, if all is well)."""
    maker, out = Maker(seed, False), []
    while maker.todo and len(out) < 20000:
        out.append(maker.update(first_id + len(out)))
    return out, {(t, f) for t, d in TYPES.items() for f in d.get("fields", {})} - maker.made


def dumps(update, seed=0):
    """As text, with escapes or without."""
    return json.dumps(update, ensure_ascii=seed % 2 == 0, separators=(",", ":") if seed % 3 else (", ", ": ")).encode(
        "utf-8", "replace")


if __name__ == "__main__":
    made, missing = covering(1)
    print(len(made), "updates cover all but", sorted(missing))
