"""A mailbox for requests: certificates.k8s.io/v1 as far as a host needs it, by Python's own TLS.

Arguments: folder, certificate, key. Requests are kept as FOLDER/requests/NAME.json. The test decides: FOLDER/issued/NAME
is the certificate of a request, FOLDER/denied/NAME denies it, FOLDER/bundles/HOST.tar.gz is a bundle. FOLDER/mode is a word:
how to misbehave. Every body that arrives is appended to FOLDER/seen.
"""
import base64, http.server, json, os, ssl, sys, time

folder, certificate, key = sys.argv[1:4]
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def path(*parts):
    return os.path.join(folder, *parts)


def read(*parts):
    try:
        with open(path(*parts), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def misbehaves(self):
        mode = (read("mode") or b"").decode().strip()
        if mode == "garbage":
            self.reply(200, b"\xff\x00{[ not JSON")
        elif mode == "huge":
            self.send_response(200)
            self.send_header("content-length", str(1 << 40))
            self.end_headers()
            try:
                for _ in range(64):
                    self.wfile.write(b"x" * (1 << 20))
            except OSError:
                pass
        elif mode == "busy":
            self.reply(429, b"{}", [("retry-after", "1")])
        elif mode == "redirect":
            self.reply(302, b"", [("location", "https://127.0.0.1:1/")])
        elif mode == "silent":
            time.sleep(30)
            self.close_connection = True
        else:
            return False
        return True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with open(path("seen"), "ab") as seen:
            seen.write(self.requestline.encode() + b"\n" + str(self.headers).encode() + body + b"\n")
        if self.misbehaves():
            return
        made = json.loads(body)
        name = made["metadata"]["name"]
        file = path("requests", name + ".json")
        if os.path.exists(file):
            return self.reply(409, b'{"message": "exists"}')
        with open(file + ".new", "wb") as new:
            new.write(body)
        os.rename(file + ".new", file)
        self.reply(201, body)

    def do_GET(self):
        if self.misbehaves():
            return
        if self.path.startswith("/clusterctl/v1/bundles/"):
            bundle = read("bundles", self.path.rsplit("/", 1)[1] + ".tar.gz")
            return self.reply(200, bundle) if bundle else self.reply(404, b'{"message": "no bundle"}')
        name = self.path.rsplit("/", 1)[1]
        body = read("requests", name + ".json")
        if body is None:
            return self.reply(404, b'{"message": "no such request"}')
        found = json.loads(body)
        issued, denied = read("issued", name), read("denied", name)
        if denied is not None:
            found["status"] = {"conditions": [{"type": "Denied", "status": "True", "reason": "No", "message": "no"}]}
        elif issued is not None:
            found["status"] = {
                "conditions": [{"type": "Approved", "status": "True"}],
                "certificate": base64.b64encode(issued).decode(),
            }
        self.reply(200, json.dumps(found).encode())


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


for part in ("requests", "issued", "denied", "bundles"):
    os.makedirs(path(part), exist_ok=True)
server = Server(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
