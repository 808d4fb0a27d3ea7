import Foundation
import Glibc
import TestSupport
import Testing

extension ThroughTheSocket {
    /// Clients that are slow, silent, gone or many.
    @Suite struct SlowClients {
        @Test(arguments: ["INFO", "USAGE acme", "EVENTS limit=10000"])
        func `a client that never reads costs bounded memory and is closed`(request: String) throws
        {
            let daemon = try ThroughTheSocket.daemon(["--idle-line-seconds", "1"])
            let other = try daemon.client()
            // A log whose EVENTS are long.
            let charges = (0..<5_000).map {
                "CHARGE \(key) \(model) in=1 out=1 id=c\($0) ack=ring\r\n"
            }
            _ = try other.exchange(Array(charges.joined().utf8), replies: charges.count)
            let before = try other.number("used_memory")
            let client = try daemon.client()
            let bytes = Array(String(repeating: request + "\r\n", count: 20_000).utf8)
            var (sent, most) = (0, 0)
            // It goes on sending for as long as it is listened to.
            let isClosed = try poll("the end of a client that does not read") {
                do {
                    sent += try client.sendSome(bytes[(sent % bytes.count)...])
                } catch is POSIXError {
                    return true
                }
                most = max(most, try other.number("used_memory"))
                return nil
            }
            #expect(isClosed)
            // One answer of EVENTS in the making, one waiting; a megabyte of others.
            #expect(most - before < 48 << 20, "\(most - before) bytes more")
            #expect(try daemon.stop() == 0)
        }

        @Test func `a client that reads late gets every answer`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            let count = 6_000
            let bytes = Array(String(repeating: "USAGE acme\n", count: count).utf8)
            var sent = 0
            // Until its kernel's buffers are full and the daemon reads no more of it.
            let full = try poll("back-pressure") {
                let taken = try client.sendSome(bytes[sent...])
                sent += taken
                return sent == bytes.count || taken == 0 ? true : nil
            }
            #expect(full)
            #expect(try daemon.client().ask("PING").text == "PONG")
            let rest = Array(bytes[sent...])
            let replies = try client.exchange(rest, replies: count)
            #expect(replies.allSatisfy { $0.text.hasPrefix("{\"account\":\"acme\"") })
            #expect(try client.ask("PING").text == "PONG")
            #expect(try daemon.stop() == 0)
        }

        @Test func `requests that their clients never finish are closed with an error`() throws {
            let daemon = try ThroughTheSocket.daemon(["--idle-line-seconds", "1"])
            let idle = try daemon.client()
            let halves = try ["PING", "*2\r\n$4\r\nPING\r\n$100\r\nabc", "PING\r\nPI"].map { text in
                let client = try daemon.client()
                try client.send(text)
                return client
            }
            let trickle = try daemon.client()
            // A byte whenever the daemon is looked at: never silent, never done.
            let closed = try poll("the end of a client that trickles") {
                do { _ = try trickle.sendSome([UInt8(ascii: "x")]) } catch { return true }
                _ = try idle.ask("PING")
                return try? !trickle.receiveSome()
            }
            _ = closed
            for client in halves {
                let answer = try client.rest()
                #expect(
                    answer.hasSuffix("the request was not finished in 1 seconds\r\n"), "\(answer)")
            }
            #expect(try idle.ask("PING").text == "PONG", "an idle client owes nothing")
            #expect(try daemon.stop() == 0)
        }

        @Test func `who ends writing still gets the answers that wait for disk and readers`() throws
        {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            try client.send(
                "CHARGE \(key) \(model) in=1 out=1 id=h1\nEVENTS from=1\nCHARGE \(key) \(model) in=1 out=1 id=h2\nPI"
            )
            client.endWriting()
            #expect(try client.reply().words.first == "CHARGED")
            #expect(try client.reply().text.hasPrefix("[{\"seq\":1,"))
            #expect(try client.reply().words.first == "CHARGED")
            #expect(try client.rest() == "")
            #expect(try daemon.client().number("connected_clients") == 1)
            #expect(try daemon.stop() == 0)
        }

        @Test func `a client that disconnects between request and answer leaves a whole event`()
            throws
        {
            let daemon = try ThroughTheSocket.daemon()
            let watcher = try daemon.client()
            for round in 0..<200 {
                let client = try daemon.client()
                try client.send(
                    "CHARGE \(key) \(model) in=1 out=1 id=d\(round)\nEVENTS\nUSAGE acme\n")
                client.close()
            }
            // It sends on the same socket, so its question is read after theirs.
            let charged = try poll("200 charges") {
                let events = try watcher.events().filter { $0.type == "charge.recorded" }
                return events.count == 200 ? events : nil
            }
            #expect(Set(charged.map { $0.text("id") }).count == 200)
            let gone = try poll("the end of all connections") {
                try watcher.number("connected_clients") == 1 ? true : nil
            }
            #expect(gone)
            #expect(try daemon.stop() == 0)
        }

        @Test func `five thousand idle connections do not hinder one that asks`() throws {
            var limit = rlimit()
            let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
            getrlimit(files, &limit)
            guard limit.rlim_max >= 6_000 else {
                print("skipped: the hard limit of descriptors is \(limit.rlim_max)")
                return
            }
            limit.rlim_cur = min(limit.rlim_max, 20_000)
            setrlimit(files, &limit)
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            let idle = try (0..<5_000).map { _ in try daemon.client() }
            for _ in 0..<100 { _ = try client.reserve() }
            let all = try poll("5,000 connections") {
                try client.number("connected_clients") >= 5_001 ? true : nil
            }
            #expect(all)
            #expect(try client.number("used_memory") < 256 << 20)
            #expect(try idle[4_999].ask("PING").text == "PONG")
            for client in idle { client.close() }
            #expect(try daemon.stop() == 0)
        }

        @Test func `one connection too many is told so and the others are served`() throws {
            let daemon = try ThroughTheSocket.daemon(["--connections-max", "4"])
            let first = try daemon.client()
            // Whoever furnished it has left by now.
            let alone = try poll("the only connection") {
                try first.number("connected_clients") == 1 ? true : nil
            }
            #expect(alone)
            let clients = try [first] + (0..<3).map { _ in try daemon.client() }
            for client in clients { #expect(try client.ask("PING").text == "PONG") }
            let fifth = try daemon.client()
            #expect(try fifth.rest() == "-ERR max number of clients reached\r\n")
            for client in clients { #expect(try client.ask("PING").text == "PONG") }
            clients[0].close()
            let again = try poll("a free place") {
                let client = try daemon.client()
                return (try? client.ask("PING"))?.text == "PONG" ? true : nil
            }
            #expect(again)
            #expect(try daemon.stop() == 0)
        }

        @Test func `a daemon without descriptors goes on serving those it has`() throws {
            let daemon = try DaemonProcess(
                ThroughTheSocket.small, wrapper: ["prlimit", "--nofile=40"])
            let first = try daemon.client()
            try first.furnish()
            let clients = try (0..<100).map { _ in try daemon.client() }
            // Who is turned away reads why, even if it could not ask any more.
            let answers = clients.map { client in
                try? client.send("PING\r\n")
                return (try? client.reply())?.text
            }
            let refusal = "-ERR no more file descriptors; raise the daemon's limit"
            #expect(answers.allSatisfy { $0 == "PONG" || $0 == refusal }, "\(answers)")
            #expect(answers.contains("PONG") && answers.contains(refusal))
            _ = try first.reserve()
            #expect(try first.ask("EVENTS").text.hasPrefix("[{\"seq\":1,"))
            for client in clients { client.close() }
            let again = try poll("a free descriptor") {
                let client = try daemon.client()
                return (try? client.ask("PING"))?.text == "PONG" ? true : nil
            }
            #expect(again)
            #expect(try daemon.stop() == 0)
        }
    }
}
