// The reference job on a Redis stream in Go, by somebody careful: redigo, pgx, net/http; one script for lock, code and
// persona; prepared statements; connections that stay. GROUPED=1: the rows of several updates in one commit.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

const upsertSQL = `INSERT INTO users AS u (telegram_id, first_name, username, language_code, acquisition_source, last_seen_at)
VALUES ($1, $2, $3, $4, $5, now())
ON CONFLICT (telegram_id) DO UPDATE SET first_name = excluded.first_name, username = excluded.username,
language_code = excluded.language_code, last_seen_at = now(),
acquisition_source = coalesce(u.acquisition_source, excluded.acquisition_source)
RETURNING id, acquisition_source, age_verified_at IS NOT NULL`

var lookup = redis.NewScript(3, `
if not redis.call('SET', KEYS[1], ARGV[1], 'PX', 86400000, 'NX') then return {} end
local code = redis.call('HGET', KEYS[2], ARGV[2])
if not code then return {1} end
return {1, code, redis.call('HGET', KEYS[3], cjson.decode(code).persona)}`)

type person struct {
	ID           int64  `json:"id"`
	FirstName    string `json:"first_name"`
	Username     string `json:"username"`
	LanguageCode string `json:"language_code"`
}

type update struct {
	Message struct {
		From person `json:"from"`
		Chat struct {
			ID int64 `json:"id"`
		} `json:"chat"`
		Text string `json:"text"`
	} `json:"message"`
}

type startCode struct {
	Code    string `json:"code"`
	Persona int64  `json:"persona"`
}

type persona struct {
	Name string `json:"name"`
}

type message struct {
	ChatID    int64  `json:"chat_id"`
	Text      string `json:"text"`
	ParseMode string `json:"parse_mode"`
}

type answer struct {
	OK          bool   `json:"ok"`
	Description string `json:"description"`
}

type entry struct {
	id, key string
	body    []byte
}

type row struct {
	from   person
	source string
	done   chan error
}

type worker struct {
	redis    *redis.Pool
	pg       *pgxpool.Pool
	http     *http.Client
	url      string
	stream   string
	consumer string
	rows     chan *row // nil: each writes its own
	acks     chan string
}

func (w *worker) lookup(e *entry, code string) (fresh bool, c startCode, p persona, err error) {
	conn := w.redis.Get()
	defer conn.Close()
	found, err := redis.Values(lookup.Do(conn, "lock:"+e.key, "bench:codes", "bench:personas", w.consumer, code))
	if err != nil || len(found) == 0 {
		return false, c, p, err
	}
	if len(found) < 3 {
		return true, c, p, fmt.Errorf("unknown code %q", code)
	}
	if err = json.Unmarshal(found[1].([]byte), &c); err == nil {
		err = json.Unmarshal(found[2].([]byte), &p)
	}
	return true, c, p, err
}

func (w *worker) upsert(from person, source string) error {
	if w.rows != nil {
		r := &row{from, source, make(chan error, 1)}
		w.rows <- r
		return <-r.done
	}
	var id int64
	var first string
	var verified bool
	return w.pg.QueryRow(context.Background(), upsertSQL, from.ID, from.FirstName, from.Username, from.LanguageCode, source).
		Scan(&id, &first, &verified)
}

// Writes what is waiting in one commit; in the order of the people, or two of these deadlock.
func (w *worker) writeRows() {
	for r := range w.rows {
		rows := []*row{r}
		for more := true; more && len(rows) < 32; {
			select {
			case r := <-w.rows:
				rows = append(rows, r)
			default:
				more = false
			}
		}
		sort.SliceStable(rows, func(i, j int) bool { return rows[i].from.ID < rows[j].from.ID })
		batch := &pgx.Batch{}
		for _, r := range rows {
			batch.Queue(upsertSQL, r.from.ID, r.from.FirstName, r.from.Username, r.from.LanguageCode, r.source)
		}
		results := w.pg.SendBatch(context.Background(), batch)
		var err error
		for range rows {
			var id int64
			var first string
			var verified bool
			if e := results.QueryRow().Scan(&id, &first, &verified); e != nil && err == nil {
				err = e
			}
		}
		if e := results.Close(); e != nil && err == nil {
			err = e
		}
		for _, r := range rows {
			r.done <- err
		}
	}
}

func (w *worker) reply(chat int64, text string) error {
	body, err := json.Marshal(message{chat, text, "HTML"})
	if err != nil {
		return err
	}
	res, err := w.http.Post(w.url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	var a answer
	if err = json.Unmarshal(said, &a); err == nil && !a.OK {
		err = fmt.Errorf("sendMessage: %d %s", res.StatusCode, a.Description)
	}
	return err
}

func (w *worker) handle(e *entry) error {
	var u update
	if err := json.Unmarshal(e.body, &u); err != nil {
		return err
	}
	fresh, code, p, err := w.lookup(e, strings.TrimPrefix(u.Message.Text, "/start "))
	if err != nil || !fresh {
		return err
	}
	if err = w.upsert(u.Message.From, code.Code); err != nil {
		return err
	}
	return w.reply(u.Message.Chat.ID, "Welcome back! <b>"+p.Name+"</b> is glad to see you again.")
}

// Acknowledges what has come together meanwhile in one round trip.
func (w *worker) acknowledge() {
	conn := w.redis.Get()
	for id := range w.acks {
		ids := []interface{}{id}
		for more := true; more && len(ids) < 64; {
			select {
			case id := <-w.acks:
				ids = append(ids, id)
			default:
				more = false
			}
		}
		conn.Send("XACK", append([]interface{}{w.stream, "workers"}, ids...)...)
		conn.Send("XDEL", append([]interface{}{w.stream}, ids...)...)
		if _, err := conn.Do(""); err != nil {
			log.Print(err) // what is not acknowledged stays pending
		}
	}
}

func parse(raw interface{}) (*entry, error) {
	pair, err := redis.Values(raw, nil)
	if err != nil || len(pair) != 2 {
		return nil, fmt.Errorf("entry: %v", err)
	}
	fields, err := redis.ByteSlices(pair[1], nil)
	if err != nil {
		return nil, err
	}
	e := &entry{id: string(pair[0].([]byte))}
	for i := 0; i+1 < len(fields); i += 2 {
		switch string(fields[i]) {
		case "key":
			e.key = string(fields[i+1])
		case "body":
			e.body = fields[i+1]
		}
	}
	return e, nil
}

func (w *worker) read(entries chan<- *entry, count int) {
	conn := w.redis.Get()
	for {
		got, err := redis.Values(conn.Do("XREADGROUP", "GROUP", "workers", w.consumer, "COUNT", count, "BLOCK", 5000,
			"STREAMS", w.stream, ">"))
		if err == redis.ErrNil {
			continue
		} else if err != nil {
			log.Fatal(err)
		}
		streams, _ := redis.Values(got[0], nil)
		list, _ := redis.Values(streams[1], nil)
		for _, raw := range list {
			e, err := parse(raw)
			if err != nil {
				log.Print(err)
				continue
			}
			entries <- e
		}
	}
}

func number(name string) int {
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		log.Fatal(name, ": ", err)
	}
	return n
}

func main() {
	concurrency := number("CONCURRENCY")
	config, err := pgxpool.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%s user=%s dbname=%s pool_max_conns=%d",
		os.Getenv("PG_PORT"), os.Getenv("PG_USER"), os.Getenv("PG_DATABASE"), number("PG_CONNECTIONS")))
	if err != nil {
		log.Fatal(err)
	}
	pool, err := pgxpool.ConnectConfig(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	w := &worker{
		redis: &redis.Pool{
			MaxIdle: concurrency,
			Dial:    func() (redis.Conn, error) { return redis.Dial("tcp", "127.0.0.1:"+os.Getenv("REDIS_PORT")) },
		},
		pg: pool,
		http: &http.Client{
			Timeout:   30 * time.Second,
			Transport: &http.Transport{MaxIdleConns: concurrency, MaxIdleConnsPerHost: concurrency},
		},
		url:      os.Getenv("PLATFORM") + "/bot" + os.Getenv("TOKEN") + "/sendMessage",
		stream:   os.Getenv("STREAM"),
		consumer: os.Getenv("CONSUMER"),
		acks:     make(chan string, concurrency),
	}
	if os.Getenv("GROUPED") != "" {
		w.rows = make(chan *row, concurrency)
		for i := 0; i < number("PG_CONNECTIONS"); i++ {
			go w.writeRows()
		}
	}
	go w.acknowledge()
	entries := make(chan *entry)
	var all sync.WaitGroup
	for i := 0; i < concurrency; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for e := range entries {
				if err := w.handle(e); err != nil {
					log.Print(err)
				} else {
					w.acks <- e.id
				}
			}
		}()
	}
	fmt.Println("ready")
	w.read(entries, concurrency)
	all.Wait()
}
