import Foundation
import Glibc
import TestSupport
import Testing

extension ThroughTheSocket {
    /// The end in the middle of traffic, asked for or not.
    @Suite struct Ends {
        /// Several clients at once until `end` has ended the daemon.
        private func traffic(
            _ daemon: DaemonProcess, _ round: Int, _ generator: inout SeededGenerator,
            end: @escaping @Sendable () throws -> Void
        ) throws -> [Traffic] {
            let seeds = (0..<4).map { _ in generator.next() }
            return try concurrently(5) { index -> Traffic? in
                if index == 4 {
                    try end()
                    return nil
                }
                var traffic = Traffic(seed: seeds[index], prefix: "\(round)-\(index)")
                traffic.run(try daemon.client())
                return traffic
            }.compactMap { $0 }
        }

        @Test func `kill -9 at random points loses nothing that was answered`() throws {
            var generator = ThroughTheSocket.seed()
            let scratch = try Scratch()
            var daemon = try DaemonProcess(ThroughTheSocket.small, in: scratch)
            try Traffic.furnish(daemon.client())
            var past = Past()
            let rounds = ThroughTheSocket.isLong ? 200 : 5
            for round in 1...rounds {
                // The moment is random on purpose; nothing below depends on where it falls.
                let moment = UInt32.random(in: 1_000...250_000, using: &generator)
                let victim = daemon
                let all = try traffic(daemon, round, &generator) {
                    usleep(moment)
                    try victim.kill()
                }
                daemon = try DaemonProcess(ThroughTheSocket.small, in: scratch)
                let client = try daemon.client()
                try past.read(client)
                for traffic in all { past.check(traffic) }
                // What was never answered is asked again, twice: one effect, one answer.
                for doubtful in all.flatMap(\.exchanges) where doubtful.reply == nil {
                    let first = try client.ask(doubtful.line)
                    let second = try client.ask(doubtful.line)
                    #expect(
                        !first.isError && first == second, "\(doubtful.line): \(first), \(second)")
                }
                try past.read(client)
                try past.checkLaws(client)
                try #require(past.problems.isEmpty, "round \(round): \(past.problems.prefix(5))")
            }
            print("\(past.events.count) events, \(past.placed.count) holds over \(rounds) kills")
            #expect(try daemon.stop() == 0)
            #expect(daemon.errors.contains("the second fold agrees"))
        }

        @Test func `SIGTERM under load answers what was read and keeps all of it`() throws {
            var generator = ThroughTheSocket.seed()
            let scratch = try Scratch()
            for round in 1...(ThroughTheSocket.isLong ? 30 : 3) {
                let daemon = try DaemonProcess(ThroughTheSocket.small, in: scratch)
                if round == 1 { try Traffic.furnish(daemon.client()) }
                let moment = UInt32.random(in: 10_000...250_000, using: &generator)
                let all = try traffic(daemon, round, &generator) {
                    usleep(moment)
                    let status = try daemon.stop()
                    #expect(status == 0)
                }
                #expect(daemon.errors.contains("the second fold agrees"), "\(daemon.errors)")
                let next = try DaemonProcess(ThroughTheSocket.small, in: scratch)
                let client = try next.client()
                var past = Past()
                try past.read(client)
                for traffic in all { past.check(traffic) }
                try past.checkLaws(client)
                try #require(past.problems.isEmpty, "round \(round): \(past.problems.prefix(5))")
                #expect(try next.stop() == 0)
            }
        }

        @Test func `the book after a restart is the book before it`() throws {
            let scratch = try Scratch()
            var usages: [[NSDictionary]] = []
            var log: NSArray?
            // An orderly end, a crash, and a start from the log alone.
            for round in 0..<4 {
                let daemon = try DaemonProcess(ThroughTheSocket.small, in: scratch)
                let client = try daemon.client()
                if round == 0 {
                    try Traffic.furnish(client)
                    var traffic = Traffic(seed: 7, prefix: "r")
                    traffic.run(client, most: 3_000)
                    log = try client.events() as NSArray
                }
                let events = try client.events()
                #expect(Array(events.prefix(log!.count)) as NSArray == log)
                usages.append(
                    try (["acme", "acme/ml", "acme/web"] + Traffic.accounts).map(client.usage))
                if round == 1 { try daemon.kill() } else { #expect(try daemon.stop() == 0) }
                if round == 2 {
                    try FileManager.default.removeItem(atPath: scratch.file("data/checkpoints"))
                }
            }
            for later in usages.dropFirst() { #expect(later == usages[0]) }
        }
    }
}
