import Foundation
import TestSupport
import Testing

extension ThroughTheSocket {
    /// Connections that have not said who they are.
    @Suite struct Strangers {
        @Test func `who does not log in in time is closed, and who does stays`() throws {
            let port = try freePort()
            let daemon = try ThroughTheSocket.daemon([
                "--tcp", "127.0.0.1:\(port)", "--auth-seconds", "1",
            ])
            let event = try daemon.client().append(
                "operator.created", #"{"operator":"boss","role":"admin"}"#)
            let secret = try #require(event["secret"] as? String)
            let known = try Client(port: port)
            #expect(try known.ask("AUTH boss \(secret)").text == "OK")
            let silent = try Client(port: port)
            let talker = try Client(port: port)
            #expect(try talker.ask("PING").text.hasPrefix("-NOAUTH"))
            // A RESET makes a stranger of whoever came over TCP.
            let forgetful = try Client(port: port)
            #expect(try forgetful.ask("AUTH boss \(secret)").text == "OK")
            #expect(try forgetful.ask("RESET").text == "RESET")
            for client in [silent, talker, forgetful] {
                #expect(try client.rest() == "-NOAUTH no AUTH in 1 seconds\r\n")
            }
            #expect(try known.ask("PING").text == "PONG")
            #expect(try daemon.client().number("connected_clients") == 2)
            #expect(try daemon.stop() == 0)
        }

        @Test func `strangers do not take everybody's place`() throws {
            let port = try freePort()
            let daemon = try ThroughTheSocket.daemon([
                "--tcp", "127.0.0.1:\(port)", "--connections-max", "40", "--auth-seconds", "60",
            ])
            let admin = try daemon.client()
            let event = try admin.append(
                "operator.created", #"{"operator":"boss","role":"admin"}"#)
            let secret = try #require(event["secret"] as? String)
            let strangers = try (0..<16).map { _ in try Client(port: port) }
            let refused = try Client(port: port).rest()
            #expect(refused == "-ERR too many connections that have not authenticated\r\n")
            #expect(try daemon.client().ask("PING").text == "PONG", "a Unix peer is known")
            #expect(try strangers[0].ask("AUTH boss \(secret)").text == "OK")
            // Its place among the strangers is free.
            let next = try Client(port: port)
            #expect(try next.ask("AUTH boss \(secret)").text == "OK")
            #expect(try daemon.stop() == 0)
        }

        @Test func `a daemon that spins answers as one that sleeps`() throws {
            let daemon = try ThroughTheSocket.daemon(["--spin-us", "200"])
            let client = try daemon.client()
            for i in 0..<200 {
                let reply = try client.ask("RESERVE \(key) \(model) in=1 out=1 id=s\(i)")
                #expect(reply.words.first == "ALLOW")
                if i % 20 == 0 {
                    let settled = try client.ask("SETTLE \(reply.words[1]) in=1 out=1")
                    #expect(settled.words.first == "SETTLED")
                }
            }
            #expect(try daemon.stop() == 0)
        }
    }
}
