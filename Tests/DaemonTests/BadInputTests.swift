import Foundation
import Glibc
import TestSupport
import Testing

extension ThroughTheSocket {
    /// What one connection sends harms that connection at most.
    @Suite struct BadInput {
        /// Bytes, the error that answers them, and whether the connection is closed then.
        static let cases: [(bytes: String, error: String, closes: Bool)] = [
            ("\"abc\n", "-ERR Protocol error: unbalanced quotes", true),
            ("'x\n", "-ERR Protocol error: unbalanced quotes", true),
            ("PING \"a\"b\n", "-ERR Protocol error: unbalanced quotes", true),
            (String(repeating: "a", count: 70_000) + "\n", "-ERR Protocol error: too big", true),
            (String(repeating: "a", count: 70_000), "-ERR Protocol error: too big", true),
            (String(repeating: "x ", count: 70) + "\n", "-ERR Protocol error: too big", true),
            ("*1\r\n$70000\r\n", "-ERR Protocol error: invalid bulk length", true),
            ("*1\r\n$-5\r\nPING\r\n", "-ERR Protocol error: invalid bulk length", true),
            ("*1\r\n$3\r\nPING\r\n", "-ERR Protocol error", true),
            ("*1\r\n$9223372036854775808\r\n", "-ERR Protocol error: invalid bulk length", true),
            ("*99999999999\r\n", "-ERR Protocol error: invalid multibulk length", true),
            ("*65\r\n", "-ERR Protocol error: invalid multibulk length", true),
            ("*1\r\nPING\r\n", "-ERR Protocol error: expected '$'", true),
            ("POST / HTTP/1.1\r\nHost: x\r\n\r\n", "-ERR Protocol error", true),
            ("Host: x\r\n", "-ERR Protocol error", true),
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "-ERR GET", true),
            ("\u{0}\u{1}\u{2}\n", "-ERR unknown command", false),
            // A TLS client, a proxy, a browser's preface, another database's client.
            ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\n", "-ERR unknown command", false),
            ("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", "-ERR unknown command 'PROXY'", false),
            ("PRI * HTTP/2.0\r\n", "-ERR unknown command 'PRI'", false),
            ("*1\r\n*1\r\n$4\r\nPING\r\n", "-ERR Protocol error: expected '$', got '*'", true),
            (String(repeating: "*1\r\n", count: 5_000), "-ERR Protocol error: expected '$'", true),
            ("*2\r\n$4\r\nECHO\r\n:1\r\n", "-ERR Protocol error: expected '$'", true),
            ("*-2147483649\r\n", "-ERR Protocol error: invalid multibulk length", true),
            ("*+1\r\n$4\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length", true),
            ("*1\r\n$04\r\nPING\r\n", "-ERR Protocol error: invalid bulk length", true),
            ("*1\n$4\nPING\n", "-ERR Protocol error: invalid multibulk length", true),
            ("ECHO " + String(repeating: "\"a\" ", count: 64) + "\n", "-ERR Protocol error", true),
            ("ECHO \"\\xZZ\n", "-ERR Protocol error: unbalanced quotes", true),
            ("RESERVE a/b/c m ua=\"\\x00\"\n", "-ERR ua=", false),
            ("RESERVE a/b/c m ua=\"\\xff\\xfe\"\n", "-ERR ua=", false),
            ("RESERVE a/b/c m ua=\"\\xed\\xa0\\x80\"\n", "-ERR ua=", false),
            ("FLUSHALL\n", "-ERR unknown command 'FLUSHALL'", false),
            ("RESERVE\n", "-ERR wrong number of arguments for 'reserve' command", false),
            ("RESERVE acme/ml/prod openai/gpt-4.1 in=-1\n", "-ERR in=", false),
            ("RESERVE acme/ml/prod openai/gpt-4.1 in=1e3\n", "-ERR in=", false),
            ("RESERVE acme/ml/prod openai/gpt-4.1 in=99999999999999999999\n", "-ERR in=", false),
            ("RESERVE acme/ml/prod openai/gpt-4.1 in=1 in=2\n", "-ERR", false),
            ("RESERVE acme/ml/prod openai/gpt-4.1 colour=red\n", "-ERR", false),
            ("SETTLE 1-2 in=1 out=1\n", "-GONE", false),
            ("SETTLE 1-999 in=1 out=1\n", "-NOHOLD", false),
            ("SETTLE nonsense in=1 out=1\n", "-ERR", false),
            ("RELEASE 99-1\n", "-", false),
            ("USAGE nobody\n", "-", false),
            ("USAGE a/b/c/d\n", "-ERR", false),
            ("EVENTS from=0\n", "-ERR from=", false),
            ("APPEND org.created {\n", "-ERR", false),
            (#"APPEND org.created '{"account":"acme"}'"# + "\n", "-", false),
            (#"APPEND org.created '{"account":"x","colour":"red"}'"# + "\n", "-ERR", false),
            (#"APPEND org.created '{"account":"x","account":"y"}'"# + "\n", "-ERR", false),
            (
                #"APPEND org.created '{"account":"o","limits":{"usd.day":"1e9"}}'"# + "\n", "-ERR",
                false
            ),
            (
                #"APPEND org.created '{"account":"o","limits":{"usd.day":"NaN"}}'"# + "\n", "-ERR",
                false
            ),
            (
                #"APPEND org.created '{"account":"o","limits":{"usd.day":1.5}}'"# + "\n", "-ERR",
                false
            ),
            (#"APPEND team.created '{"account":"ghost/ml"}'"# + "\n", "-", false),
            (#"APPEND team.created '{"account":"acme"}'"# + "\n", "-ERR", false),
            (#"APPEND hold.placed '{"account":"acme"}'"# + "\n", "-ERR", false),
        ]

        @Test func `each malformed request is answered with a clear error and harms nobody else`()
            throws
        {
            let daemon = try ThroughTheSocket.daemon()
            let bystander = try daemon.client()
            let seq = try bystander.number("seq")
            for (bytes, error, closes) in Self.cases {
                let client = try daemon.client()
                // A daemon that closes early may leave the rest unsent.
                do { try client.send(bytes) } catch is POSIXError {}
                let reply = try client.reply()
                let shown = bytes.prefix(60)
                #expect(reply.isError && reply.text.hasPrefix(error), "\(shown) → \(reply)")
                if closes {
                    _ = try client.rest()
                } else {
                    #expect(try client.ask("PING").text == "PONG", "after \(shown)")
                }
                #expect(try bystander.ask("PING").text == "PONG", "beside \(shown)")
            }
            #expect(try bystander.number("seq") == seq, "errors leave no events")
            #expect(try daemon.stop() == 0)
        }

        @Test func `random bytes never bring the daemon down`() throws {
            var generator = ThroughTheSocket.seed()
            let daemon = try ThroughTheSocket.daemon()
            let bystander = try daemon.client()
            let tokens = [
                "*", "$", "\r\n", "\n", "3", "-1", "RESERVE ", "\"", "'", "PING", " ", "in=", "{",
                "\\x",
                "HELLO 3", "acme/ml/prod ", "openai/gpt-4.1 ", "APPEND ", "EVENTS", "2\r\n",
                "$4\r\nPING\r\n",
            ]
            for round in 0..<(ThroughTheSocket.isLong ? 20_000 : 300) {
                let client = try daemon.client()
                var bytes: [UInt8] = []
                for _ in 0..<Int.random(in: 1...60, using: &generator) {
                    if Bool.random(using: &generator) {
                        bytes += tokens.randomElement(using: &generator)!.utf8
                    } else {
                        bytes.append(.random(in: 0...255, using: &generator))
                    }
                }
                do { try client.send(bytes) } catch is POSIXError {}
                if round % 3 == 0 { client.endWriting(); _ = try client.rest() }
            }
            #expect(try bystander.ask("PING").text == "PONG")
            #expect(try daemon.stop() == 0)
            #expect(daemon.errors.contains("the second fold agrees"))
        }

        @Test func `numbers that would overflow are refused and never wrapped`() throws {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            let prices = try client.ask(
                #"APPEND price.set '{"model":"a/dear","in":"9000000","out":"9000000"}'"#)
            #expect(!prices.isError, "\(prices)")
            for verb in ["RESERVE", "CHARGE", "CHECK"] {
                let reply = try client.ask(
                    "\(verb) \(key) a/dear in=1000000000000 out=1000000000000\(verb == "CHECK" ? "" : " id=o")"
                )
                #expect(reply.isError, "\(verb): \(reply)")
            }
            let hold = try client.ask("RESERVE \(key) a/dear in=1 out=1")
            let settled = try client.ask(
                "SETTLE \(hold.words[1]) in=1000000000000 out=1000000000000")
            #expect(settled.isError, "\(settled)")
            #expect(try client.money("acme", "usd.total", "used") == 0)
            #expect(try client.ask("SETTLE \(hold.words[1]) in=1 out=1").words.first == "SETTLED")
            #expect(try daemon.stop() == 0)
        }
    }
}
