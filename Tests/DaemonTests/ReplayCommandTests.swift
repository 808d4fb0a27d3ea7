import Events
import Foundation
import TestSupport
import Testing

extension ThroughTheSocket {
    /// `tollgate audit replay`, through the socket and on a directory.
    @Suite struct `audit replay` {
        /// A few of everything; the last event is a settlement.
        private static func busyDaemon() throws -> DaemonProcess {
            let daemon = try ThroughTheSocket.daemon()
            let client = try daemon.client()
            _ = try client.append(
                "limits.set", #"{"account":"acme","limits":{"usd.total":"0.001"}}"#)
            let hold = try client.reserve("in=1 out=1")
            for _ in 0..<12 { _ = try client.ask("RESERVE \(key) \(model) in=10 out=10") }
            _ = try client.ask("CHARGE \(key) \(model) in=1 out=1 id=c")
            _ = try client.ask("SETTLE \(hold) in=1 out=1")
            return daemon
        }
        private static func replay(_ words: [String]) throws -> Program.Run {
            try Program.run(["audit", "replay"] + words)
        }
        private static func json(_ run: Program.Run) throws -> [String: Any] {
            let object = try JSONSerialization.jsonObject(with: Data(run.output.utf8))
            return try #require(object as? [String: Any], "\(run)")
        }

        @Test func `a true log agrees with itself, and its balances with the live book`() throws {
            let daemon = try Self.busyDaemon()
            let socket = ["--socket", daemon.socketPath]
            let people = try Self.replay(socket)
            #expect(people.status == 0, "\(people)")
            #expect(people.output.contains("no difference"))
            #expect(people.output.contains("3 accounts are as the daemon says"))
            let live = try Self.json(try Self.replay(socket + ["--json"]))
            #expect(live.number("accounts") == 3 && live.number("difference_count") == 0)
            let last = try #require(try daemon.client().events().last).seq
            #expect(live.number("events") == last)
            #expect((live["compared"] as? [String: Any])?.number("hold.settled") == 1)
            let copy = try Self.json(try Self.replay(["--dir", daemon.dataPath, "--json"]))
            #expect(copy.number("events") == last && copy["accounts"] == nil)
            #expect(try daemon.stop() == 0)
            let after = try Self.replay(["--dir", daemon.dataPath])
            #expect(after.status == 0, "\(after)")
            #expect(after.output.contains("a directory has no live book"))
            #expect(after.output.contains("the same book"), "the checkpoint of the stop")
        }

        @Test func `it ends before an instant or with an event`() throws {
            let daemon = try Self.busyDaemon()
            let socket = ["--socket", daemon.socketPath]
            let events = try daemon.client().events()
            let settled = try #require(events.last)
            let seq = settled.seq - 2
            let part = try Self.json(try Self.replay(socket + ["--to", "\(seq)", "--json"]))
            #expect(part.number("events") == seq && part["accounts"] == nil)
            // An instant is left out: the event of that very time is not replayed.
            let instant = settled.text("time")
            let before = try Self.json(try Self.replay(socket + ["--to", instant, "--json"]))
            #expect(before.number("events") == events.filter { $0.text("time") < instant }.count)
            let all = try Self.replay(socket + ["--to", "2199-01-01", "--zone", "Asia/Kolkata"])
            #expect(all.status == 0 && all.output.contains("leave --to out"), "\(all)")
            for (words, says) in [
                (["--to", "0"], "events are numbered from 1"),
                (["--to", "-5"], "events are numbered from 1"),
                (["--to", "\(settled.seq + 99)"], "is behind the log's end"),
                (["--to", "soon"], "is no instant: say one such as"),
                (["--to", "2001-01-01"], "the log has no event before --to 2001-01-01"),
                (["--to", "2026-11-22", "--zone", "Mars"], "is no IANA time zone"),
                (["--dir", daemon.dataPath], "say one of them"),
            ] {
                let run = try Self.replay(socket + words)
                #expect(run.status == 64 && run.errors.contains(says), "\(words): \(run)")
                #expect(run.output == "")
            }
            let nowhere = try Self.replay(["--dir", "/nowhere"])
            #expect(nowhere.status == 74 && nowhere.errors.contains("; name a data directory"))
            #expect(try daemon.stop() == 0)
        }

        @Test func `a changed log is found out, with both sides`() throws {
            let daemon = try Self.busyDaemon()
            #expect(try daemon.stop() == 0)
            var changed: [UInt64] = []
            let forged = daemon.scratch.file("forged")
            try ForgedLog.make(forged, from: daemon.dataPath) { seq, event in
                // A nano-dollar more in the second and the third hold.
                guard event[2] == EventType.holdPlaced.rawValue else { return }
                changed.append(seq)
                if changed.count == 2 || changed.count == 3 { event[50] &+= 1 }
            }
            let first = try Self.replay(["--dir", forged])
            #expect(first.status == 65, "\(first)")
            #expect(
                first.lines.first?.hasPrefix("differs  event \(changed[1]) ") == true, "\(first)")
            #expect(first.lines.first?.hasSuffix("hold.placed of \(key)") == true)
            #expect(first.lines.contains("  usd, in the log:  0.000100001"), "\(first.output)")
            #expect(first.lines.contains("  usd, derived:     0.0001"))
            #expect(!first.output.contains("event \(changed[2])"))
            #expect(first.errors.contains("--diff lists all"))

            let all = try Self.replay(["--dir", forged, "--diff", "--json"])
            #expect(all.status == 65)
            let differences = try #require(try Self.json(all)["differences"] as? [[String: Any]])
            let seqs = differences.map { UInt64($0.number("seq")) }
            #expect(seqs.starts(with: changed[1...2]), "\(differences)")
            #expect(differences[0].text("type") == "hold.placed")
            #expect(
                try Self.replay(["--dir", forged, "--to", "\(changed[1] - 1)"]).status == 0,
                "what stands before it is as it was")
        }
    }
}
