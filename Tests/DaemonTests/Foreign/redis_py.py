"""A stock redis-py as a client of Tollgate: python3 redis_py.py SOCKET. Ends with 'ok', or a traceback."""

import json
import socket
import sys
import threading

import redis

PATH = sys.argv[1]
MODEL = "openai/gpt-4.1"
KEY = "acme/ml/prod"
MAJOR = int(redis.__version__.split(".")[0])


def text(reply):
    return reply.decode() if isinstance(reply, bytes) else reply


def words(reply):
    return text(reply).split(" ")


def check(what, *shown):
    if not what:
        raise AssertionError(shown)


def connect(**options):
    return redis.Redis(unix_socket_path=PATH, decode_responses=True, **options)


def basics(client):
    check(client.ping())
    check(client.echo("hello") == "hello")
    hello = client.execute_command("INFO")
    check(hello["redis_version"] == "7.0.0" and hello["loading"] == 0, hello)
    check(client.client_setname("foreign") and client.client_getname() == "foreign")
    check(client.config_get("save") in ({}, {"save": ""}), client.config_get("save"))


def a_hold(client):
    asked = ("RESERVE", KEY, MODEL, "in=100", "out=100", "id=py-%d-1" % MAJOR)
    allowed = words(client.execute_command(*asked))
    check(allowed[0] == "ALLOW", allowed)
    check(words(client.execute_command(*asked)) == allowed, "the same id, the same answer")
    settled = words(client.execute_command("SETTLE", allowed[1], "in=100", "out=50"))
    check(settled[:2] == ["SETTLED", allowed[1]], settled)
    usage = json.loads(client.execute_command("USAGE", KEY))
    check(usage["account"] == KEY and "usd.total" in usage["limits"], usage)


def an_admin(client):
    payload = json.dumps({"alias": "py-%d" % MAJOR, "model": MODEL, "id": "py-%d-2" % MAJOR})
    event = json.loads(client.execute_command("APPEND", "alias.set", payload))
    again = json.loads(client.execute_command("APPEND", "alias.set", payload))
    check(event == again, event, again)
    events = json.loads(client.execute_command("EVENTS", "from=%d" % event["seq"], "limit=1"))
    check(events == [event], events)


def errors(client):
    denied = client.execute_command("RESERVE", "acme/ml/ghost", MODEL, "in=1")
    check(words(denied)[0] == "DENY", "a refusal is an answer", denied)
    for command in (["FLUSHALL"], ["SETTLE", "nonsense", "in=1", "out=1"], ["EVENTS", "from=0"]):
        try:
            client.execute_command(*command)
        except redis.ResponseError:
            continue
        raise AssertionError(command)
    check(client.ping(), "an error leaves the connection whole")


def a_pipeline(client):
    pipe = client.pipeline(transaction=False)
    count = 500
    for n in range(count):
        pipe.execute_command("RESERVE", KEY, MODEL, "in=1", "out=1", "id=pipe-%d-%d" % (MAJOR, n))
    holds = [words(reply)[1] for reply in pipe.execute()]
    check(len(set(holds)) == count)
    for hold in holds:
        pipe.execute_command("RELEASE", hold)
    check(all(words(reply)[0] == "RELEASED" for reply in pipe.execute()))


def a_tail(client):
    """As redis-py's own Monitor reads: a connection of its own, then replies without requests."""
    connection = client.connection_pool.get_connection(*([] if MAJOR > 5 else ["TAIL"]))
    connection.send_command("TAIL", "from=1")
    check(text(connection.read_response()) == "TAIL from=1")
    for seq in range(1, 6):
        event = json.loads(connection.read_response())
        check(event["seq"] == seq, event)
    connection.send_command("PING")
    reply = connection.read_response()
    while not text(reply).startswith("TAILED next="):
        reply = connection.read_response()
    check(text(connection.read_response()) == "PONG", "the connection goes on")
    client.connection_pool.release(connection)


class Breaker(threading.Thread):
    """A proxy that cuts each of the first connections before their first answer comes back."""

    def __init__(self, cuts):
        super().__init__(daemon=True)
        self.cuts = cuts
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        daemon = socket.socket(socket.AF_UNIX)
        daemon.connect(PATH)
        while True:
            asked = client.recv(65536)
            if not asked:
                break
            daemon.sendall(asked)
            answer = daemon.recv(65536)
            if b"CHARGE" in asked and self.cuts > 0:
                self.cuts -= 1
                break
            client.sendall(answer)
        client.close()
        daemon.close()


def a_broken_line():
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    breaker = Breaker(3)
    breaker.start()
    client = redis.Redis(
        port=breaker.port, decode_responses=True, retry=Retry(NoBackoff(), 5),
        retry_on_error=[redis.ConnectionError],
    )
    charged = client.execute_command(
        "CHARGE", KEY, MODEL, "in=10", "out=10", "id=broken-%d" % MAJOR)
    check(words(charged)[0] == "CHARGED" and breaker.cuts == 0, charged, breaker.cuts)
    events = json.loads(connect().execute_command("EVENTS", "type=charge.recorded"))
    once = [event for event in events if event.get("id") == "broken-%d" % MAJOR]
    check(len(once) == 1, "sent four times, charged once", once)


for protocol in (2, 3):
    with connect(protocol=protocol) as connection:
        basics(connection)
        a_hold(connection)
        an_admin(connection)
        errors(connection)
        a_tail(connection)
a_pipeline(connect())
a_broken_line()
print("ok", redis.__version__)
