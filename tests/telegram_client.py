"""python-telegram-bot with calls that return when they are done, whichever version there is: those of 13 do so by
themselves (Debian 12), those of 20 and later are coroutines (Debian 13), and some errors have other names."""
import asyncio
import inspect
import threading

import telegram
import telegram.error

try:
    from telegram.utils.request import Request
except ImportError:
    Request = None

if Request:
    Forbidden = WrongToken = telegram.error.Unauthorized

    def client(token, base_url, timeout):
        return telegram.Bot(token, base_url=base_url, request=Request(read_timeout=timeout))
else:
    from telegram.request import HTTPXRequest
    Forbidden, WrongToken = telegram.error.Forbidden, telegram.error.InvalidToken
    _loop = asyncio.new_event_loop()
    threading.Thread(target=_loop.run_forever, daemon=True).start()

    class _Client:
        def __init__(self, bot):
            self._bot = bot

        def __getattr__(self, name):
            attribute = getattr(self._bot, name)
            if not inspect.iscoroutinefunction(attribute):
                return attribute

            def call(*args, **kwargs):
                result = asyncio.run_coroutine_threadsafe(attribute(*args, **kwargs), _loop).result()
                return list(result) if isinstance(result, tuple) else result
            return call

    def client(token, base_url, timeout):
        return _Client(telegram.Bot(token, base_url=base_url, request=HTTPXRequest(read_timeout=timeout),
                                    get_updates_request=HTTPXRequest(read_timeout=timeout)))
