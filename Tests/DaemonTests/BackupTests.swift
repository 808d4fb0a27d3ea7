import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

extension ThroughTheSocket {
    /// `tollgate backup` and `restore`, and a start that goes on from one.
    @Suite struct Backups {
        private struct Ended {
            var status: Int32
            var output: String
            var errors: String
        }
        private func tollgate(
            _ words: [String], in scratch: Scratch, wrapper: [String] = []
        ) throws -> Ended {
            let child = try ChildProcess(
                wrapper + [DaemonProcess.binary] + words, in: scratch, name: words[0])
            let status = try child.wait()
            return Ended(
                status: status, output: child.standardOutput, errors: child.standardError)
        }
        private struct Said {
            var seq: Int
            var epoch: Int
            var root: String
        }
        /// Backs up into `name` in the scratch; returns what the command says of it.
        @discardableResult
        private func backup(_ daemon: DaemonProcess, _ name: String) throws -> Said {
            let ended = try tollgate(
                ["backup", daemon.scratch.file(name), "--data", daemon.dataPath, "--json"],
                in: daemon.scratch)
            try #require(ended.status == 0, "\(ended)")
            let json = try JSONSerialization.jsonObject(with: Data(ended.output.utf8))
            let said = try #require(json as? [String: Any])
            return Said(
                seq: said.seq, epoch: said.number("epoch"), root: said.text("root"))
        }
        private func restore(_ name: String, to target: String, in scratch: Scratch) throws -> Ended
        {
            try tollgate(["restore", scratch.file(name), scratch.file(target)], in: scratch)
        }
        private func fails(_ ended: Ended, _ status: Int32, _ words: String...) {
            #expect(ended.status == status, "\(ended)")
            for word in words { #expect(ended.errors.contains(word), "\(word) in \(ended)") }
            #expect(ended.errors.split(separator: "\n").count == 1, "one sentence: \(ended)")
        }
        private func refusesToServe(
            _ scratch: Scratch, _ name: String, _ words: String..., flags: [String] = []
        ) throws {
            let end = try DaemonProcess.failure(
                ThroughTheSocket.small + flags, in: scratch, data: scratch.file(name))
            #expect(end.status == 78, "\(end)")
            for word in words { #expect(end.errors.contains(word), "\(word) in \(end)") }
        }
        private func exists(_ scratch: Scratch, _ name: String) -> Bool {
            FileManager.default.fileExists(atPath: scratch.file(name))
        }
        private func files(_ scratch: Scratch, _ name: String) throws -> Set<String> {
            let all = try FileManager.default.subpathsOfDirectory(atPath: scratch.file(name))
            return Set(all)
        }
        /// A daemon with so many charges behind it.
        private func charged(_ count: Int, _ flags: [String] = []) throws -> DaemonProcess {
            let daemon = try ThroughTheSocket.daemon(flags)
            let lines = (0..<count).map { "CHARGE \(key) \(model) in=1 out=1 id=b\($0)\n" }
            let replies = try daemon.client().exchange(
                Array(lines.joined().utf8), replies: count)
            #expect(replies.allSatisfy { $0.words.first == "CHARGED" }, "\(replies.first as Any)")
            return daemon
        }

        @Test func `under load it is the log as of one event, and goes on from there`() throws {
            let daemon = try ThroughTheSocket.daemon(["--linger-us", "0"])
            for key in ["acme/ml/k0", "acme/ml/k1", "acme/ml/k2"] {
                _ = try daemon.client().append("key.created", #"{"account":"\#(key)"}"#)
            }
            _ = try daemon.client().append("team.created", #"{"account":"acme/web"}"#)
            for key in ["acme/web/k0", "acme/web/k1", "acme/web/k2"] {
                _ = try daemon.client().append("key.created", #"{"account":"\#(key)"}"#)
            }
            let isOver = Atomic<Bool>(false)
            let rounds = ThroughTheSocket.isLong ? 40 : 4
            let results = try concurrently(4) { n -> [Said] in
                guard n == 0 else {
                    var traffic = Traffic(seed: UInt64(n), prefix: "b\(n)")
                    let client = try daemon.client()
                    while !isOver.load(ordering: .relaxed) {
                        traffic.run(client, most: traffic.exchanges.count + 200)
                    }
                    return []
                }
                defer { isOver.store(true, ordering: .relaxed) }
                return try (0..<rounds).map { try backup(daemon, "backup\($0)") }
            }
            let made = results[0]
            let original = try daemon.client().events()
            #expect(try daemon.stop() == 0)
            for (n, said) in made.enumerated() {
                #expect(try files(daemon.scratch, "backup\(n)").isDisjoint(with: ["ring", "lock"]))
                #expect(
                    try restore("backup\(n)", to: "restored\(n)", in: daemon.scratch).status == 0)
                let copy = try DaemonProcess(
                    ThroughTheSocket.small + ["--from-backup"], in: daemon.scratch,
                    data: daemon.scratch.file("restored\(n)"))
                let events = try copy.client().events()
                #expect(
                    Array(events.prefix(said.seq)) as NSArray
                        == Array(original.prefix(said.seq)) as NSArray)
                let start = try #require(events.dropFirst(said.seq).first)
                #expect(start.type == "epoch.started")
                let restored = try #require(start["restored"] as? [String: Any])
                #expect(restored.seq == said.seq && restored.text("root") == said.root)
                let key = try String(
                    contentsOfFile: daemon.scratch.file("restored\(n)/signing.key"), encoding: .utf8
                )
                #expect(key.contains("/\(start.number("epoch"))+"), "an origin of its own")
                #expect(!exists(daemon.scratch, "backup\(n)/signing.key"))
                // The second fold of all events agrees.
                #expect(try copy.stop() == 0, "\(copy.errors)")
            }
            #expect(made.map(\.seq) == made.map(\.seq).sorted() && made[0].seq < original.count)
        }

        @Test func `what was killed looks like nothing that has come to its end`() throws {
            let daemon = try charged(20_000)
            let scratch = daemon.scratch
            var seed = ThroughTheSocket.seed()
            var killed = 0
            for n in 0..<(ThroughTheSocket.isLong ? 200 : 12) {
                let target = scratch.file("backup\(n)")
                let child = try ChildProcess(
                    [DaemonProcess.binary, "backup", target, "--data", daemon.dataPath],
                    in: scratch, name: "backup")
                _ = try poll("the beginning of a backup") {
                    FileManager.default.fileExists(atPath: target + ".partial")
                        || child.status != nil
                        ? true : nil
                }
                // Anywhere between its first name and its last.
                usleep(.random(in: 0...150_000, using: &seed))
                child.signal(SIGKILL)
                try child.wait()
                if exists(scratch, "backup\(n)") {
                    #expect(!exists(scratch, "backup\(n).partial"))
                    #expect(try restore("backup\(n)", to: "restored\(n)", in: scratch).status == 0)
                    continue
                }
                killed += 1
                let partial = "backup\(n).partial"
                if !exists(scratch, "\(partial)/backup.json") {
                    fails(
                        try restore(partial, to: "never", in: scratch), 66, "came to its end")
                    // Before it is marked there is nothing that a daemon could go on from.
                    #expect(!exists(scratch, "\(partial)/journal/data.mdb"))
                }
                #expect(!exists(scratch, "never"))
                #expect(try backup(daemon, "backup\(n)").seq >= 20_000)
                #expect(!exists(scratch, "backup\(n).partial"))
            }
            #expect(killed > 0)
            #expect(try daemon.stop() == 0)
        }

        /// Starts a command and stops it once `isThere`; before each look it is stopped, so that it cannot be
        /// over meanwhile.
        private func stopped(
            _ words: [String], in scratch: Scratch, at isThere: () throws -> Bool
        ) throws -> ChildProcess {
            let child = try ChildProcess(
                [DaemonProcess.binary] + words, in: scratch, name: words[0])
            _ = try poll("the middle of a \(words[0])") {
                child.signal(SIGSTOP)
                if try isThere() { return true }
                child.signal(SIGCONT)
                return nil
            }
            return child
        }
        private func isMarked(_ stage: String, _ scratch: Scratch, _ name: String) -> Bool {
            let path = scratch.file("\(name)/backup.json")
            let text = try? String(contentsOfFile: path, encoding: .utf8)
            return text?.contains(#""stage":"\#(stage)""#) ?? false
        }

        @Test func `what a killed backup leaves is nobody's ledger`() throws {
            let daemon = try charged(20_000)
            let scratch = daemon.scratch
            let child = try stopped(
                ["backup", scratch.file("backup"), "--data", daemon.dataPath], in: scratch
            ) {
                exists(scratch, "backup.partial/journal/data.mdb")
                    && isMarked("copying", scratch, "backup.partial")
            }
            child.signal(SIGKILL)
            try child.wait()
            for flags in [[], ["--from-backup"]] {
                try refusesToServe(
                    scratch, "backup.partial", "did not come to its end", flags: flags)
            }
            fails(
                try restore("backup.partial", to: "copy", in: scratch), 64,
                "did not come to its end")
            fails(
                try tollgate(
                    ["backup", scratch.file("b2"), "--data", scratch.file("backup.partial")],
                    in: scratch), 64, "did not come to its end")
            let report = try tollgate(
                ["doctor", "--data", scratch.file("backup.partial")], in: scratch)
            #expect(report.status == 1 && report.output.contains("fail  backup"), "\(report)")
            // What a start leaves there that is refused later.
            _ = try scratch.file("backup.partial/lock", holding: "1\n")
            _ = try scratch.file("backup.partial/journal/lock.mdb", holding: "")
            #expect(try backup(daemon, "backup").seq >= 20_000)
            #expect(!exists(scratch, "backup.partial"))
            #expect(try daemon.stop() == 0)
        }

        @Test func `a place that a daemon has taken is not emptied`() throws {
            let daemon = try charged(10)
            let scratch = daemon.scratch
            let other = try DaemonProcess(
                ThroughTheSocket.small, in: scratch, data: scratch.file("backup.partial"))
            fails(
                try tollgate(
                    ["backup", scratch.file("backup"), "--data", daemon.dataPath], in: scratch), 64,
                "no backup has left there")
            #expect(exists(scratch, "backup.partial/journal/data.mdb"))
            #expect(try other.stop() == 0, "\(other.errors)")
            #expect(try daemon.stop() == 0)
        }

        @Test func `of two restores into one directory the second is told to wait`() throws {
            let daemon = try charged(20_000)
            let scratch = daemon.scratch
            try backup(daemon, "backup")
            #expect(try daemon.stop() == 0)
            let first = try stopped(
                ["restore", scratch.file("backup"), scratch.file("copy")], in: scratch
            ) { isMarked("restoring", scratch, "copy") }
            fails(
                try restore("backup", to: "copy", in: scratch), 75, "another restore is under way")
            #expect(
                isMarked("restoring", scratch, "copy"), "nothing of the first one's is taken away")
            first.signal(SIGCONT)
            #expect(try first.wait() == 0, "\(first.standardError)")
            let copy = try DaemonProcess(
                ThroughTheSocket.small + ["--from-backup"], in: scratch,
                data: scratch.file("copy"))
            fails(try restore("backup", to: "copy", in: scratch), 64, "is not empty")
            #expect(try copy.client().ask("PING").text == "PONG")
            #expect(try copy.stop() == 0, "\(copy.errors)")
        }

        @Test func `a killed tool's place among the readers is given back`() throws {
            let daemon = try charged(20_000)
            let child = try ChildProcess(
                [
                    DaemonProcess.binary, "backup", daemon.scratch.file("backup"), "--data",
                    daemon.dataPath,
                ], in: daemon.scratch, name: "backup")
            func isReading() throws -> Bool {
                let table = try Data(
                    contentsOf: URL(fileURLWithPath: daemon.dataPath + "/journal/lock.mdb"))
                return withUnsafeBytes(of: child.pid.littleEndian) { pid in
                    stride(from: 0, to: table.count - 3, by: 4).contains {
                        table[$0..<$0 + 4].elementsEqual(pid)
                    }
                }
            }
            // Stopped first, so that it cannot be over before it is killed.
            _ = try poll("a place among the readers") {
                child.signal(SIGSTOP)
                if try isReading() { return true }
                child.signal(SIGCONT)
                return nil
            }
            child.signal(SIGKILL)
            try child.wait()
            #expect(try isReading())
            _ = try poll("the daemon's look at its readers") { try isReading() ? nil : true }
            #expect(try daemon.stop() == 0)
        }

        @Test func `two copies do not run as one ledger by accident`() throws {
            let daemon = try charged(10)
            let scratch = daemon.scratch
            try backup(daemon, "backup")
            let isStaying = "stays one: say 'tollgate restore"
            try refusesToServe(scratch, "backup", isStaying)
            try refusesToServe(scratch, "backup", isStaying, flags: ["--from-backup"])
            #expect(try restore("backup", to: "copy", in: scratch).status == 0)
            try refusesToServe(scratch, "copy", "Two copies must not run as one ledger")
            // A name that is mistyped, or a place with nothing in it, must not begin an empty ledger.
            try FileManager.default.createDirectory(
                atPath: scratch.file("empty"), withIntermediateDirectories: true)
            for place in ["data2", "empty"] {
                try refusesToServe(
                    scratch, place, "there is no ledger in", "say --data", flags: ["--from-backup"])
            }
            #expect(!exists(scratch, "data2") && !exists(scratch, "empty/lock"))
            #expect(try daemon.stop() == 0)
            try refusesToServe(
                scratch, "data", "is not fresh from a backup", flags: ["--from-backup"])

            let copy = try DaemonProcess(
                ThroughTheSocket.small + ["--from-backup"], in: scratch,
                data: scratch.file("copy"))
            #expect(try copy.stop() == 0)
            // From here on it is a ledger like any other.
            try refusesToServe(
                scratch, "copy", "is not fresh from a backup", flags: ["--from-backup"])
            let again = try DaemonProcess(
                ThroughTheSocket.small, in: scratch, data: scratch.file("copy"))
            #expect(try backup(again, "another").seq > 10)
            #expect(try again.stop() == 0)
            // A backup is no source of one.
            let nested = try tollgate(
                ["backup", scratch.file("nested"), "--data", scratch.file("backup")], in: scratch)
            fails(nested, 64, "is itself a backup", "cp -a")
        }

        @Test func `no hold's name is given out again`() throws {
            var daemon = try ThroughTheSocket.daemon()
            let scratch = daemon.scratch
            let kept = try daemon.client().reserve()
            // On the disk, so that the backup has it.
            _ = try daemon.client().ask("CHARGE \(key) \(model) in=1 out=1 id=flush")
            let said = try backup(daemon, "backup")
            var lost = try (0..<3).map { _ in try daemon.client().reserve() }
            for _ in 0..<2 {
                #expect(try daemon.stop() == 0)
                daemon = try DaemonProcess(ThroughTheSocket.small, in: scratch)
                lost.append(try daemon.client().reserve())
            }
            #expect(try daemon.stop() == 0)

            var names = Set(lost).union([kept])
            for round in 0..<2 {
                let place = "copy\(round)"
                #expect(try restore("backup", to: place, in: scratch).status == 0)
                let copy = try DaemonProcess(
                    ThroughTheSocket.small + ["--from-backup"], in: scratch,
                    data: scratch.file(place))
                let client = try copy.client()
                let epoch = try #require(try client.events(from: said.seq + 1).first)
                #expect(epoch.number("epoch") - said.epoch > 1_000)
                for _ in 0..<5 {
                    let name = try client.reserve()
                    #expect(names.insert(name).inserted, "\(name) was given out before")
                }
                #expect(try client.ask("SETTLE \(kept) in=1 out=1").words.first == "SETTLED")
                for hold in lost {
                    #expect(try client.ask("RELEASE \(hold)").isError, "\(hold)")
                    #expect(try client.ask("SETTLE \(hold) in=1 out=1").isError, "\(hold)")
                    let line = "SETTLE \(hold) in=1 out=1 key=\(key) model=\(model)"
                    let reply = try client.ask(line)
                    #expect(reply.words.first == "SETTLED", "\(reply)")
                    #expect(try client.ask(line) == reply)
                }
                #expect(try copy.stop() == 0)
            }
        }

        // MARK: What is refused

        @Test func `a backup that somebody has changed`() throws {
            let daemon = try charged(200)
            let scratch = daemon.scratch
            try backup(daemon, "backup")
            #expect(try daemon.stop() == 0)
            let journal = scratch.file("backup/journal/data.mdb")
            let marker = scratch.file("backup/backup.json")
            let (whole, said) = (try contents(journal), try contents(marker))
            func refused(_ what: String, _ status: Int32 = 65, _ words: String...) throws {
                let ended = try restore("backup", to: "copy", in: scratch)
                #expect(ended.status == status, "\(what): \(ended)")
                for word in words { #expect(ended.errors.contains(word), "\(what): \(ended)") }
                #expect(!exists(scratch, "copy"), "\(what)")
                try whole.write(to: URL(fileURLWithPath: journal))
                try said.write(to: URL(fileURLWithPath: marker))
            }
            // Every copy of the id, for pages that LMDB left behind hold it, too.
            var changed = whole
            var from = changed.startIndex
            while let id = changed.range(of: Data("b77".utf8), in: from..<changed.endIndex) {
                changed[id.lowerBound + 2] ^= 1
                from = id.upperBound
            }
            try #require(from > changed.startIndex)
            try changed.write(to: URL(fileURLWithPath: journal))
            try refused("one bit of an event", 65, "is not byte for byte", "is damaged")

            // With its digest made to fit, the event's own checksum still tells.
            try changed.write(to: URL(fileURLWithPath: journal))
            try replace(
                try digest(of: whole, scratch), by: try digest(of: changed, scratch), marker)
            try refused("with a digest that fits", 65, "is damaged")

            try whole.dropLast(4_096).write(to: URL(fileURLWithPath: journal))
            try refused("cut short", 65, "is not byte for byte")
            try FileManager.default.removeItem(atPath: journal)
            try refused("gone", 65, "is gone", "use another backup")
            for (field, other) in [
                (#""seq":"#, #""seq":1"#), (#""epoch":1"#, #""epoch":7"#),
                (#""root":""#, #""root":"AAAA"#), (#""ledger":""#, #""ledger":"0"#),
            ] {
                try replace(field, by: other, marker)
                try refused(field, 65, "contradicts itself")
            }
            for (field, other) in [
                ("journal/data.mdb", "../../escaped"), ("journal/data.mdb", "ring"),
                (#""stage":"#, #""phase":"#), (#""format":1"#, #""format":2"#), ("{", ""),
            ] {
                try replace(field, by: other, marker)
                try refused("\(field) → \(other)")
            }
            #expect(try restore("backup", to: "copy", in: scratch).status == 0)
        }

        @Test func `a backup whose log is whole is restored, whatever else is not`() throws {
            let daemon = try charged(200)
            let scratch = daemon.scratch
            #expect(try daemon.stop() == 0)
            let words = ["backup", scratch.file("backup"), "--data", daemon.dataPath]
            #expect(try tollgate(words, in: scratch).status == 0)
            let names = try FileManager.default.contentsOfDirectory(
                atPath: scratch.file("backup/checkpoints"))
            let checkpoint = "checkpoints/\(try #require(names.first, "what the stop has written"))"
            func doctor() throws -> Ended {
                try tollgate(["doctor", "--data", scratch.file("backup")], in: scratch)
            }
            func flip(_ name: String, _ at: Int) throws {
                var data = try contents(scratch.file("backup/\(name)"))
                data[at] ^= 1
                try data.write(to: URL(fileURLWithPath: scratch.file("backup/\(name)")))
            }
            var copies = 0
            /// The doctor says what a restore then goes on in spite of.
            func isRestored(_ file: String, _ word: String, withCheckpoint: Bool) throws {
                let report = try doctor()
                #expect(report.status == 0, "\(report)")
                let warning = report.output.split(separator: "\n").first {
                    $0.hasPrefix("warn  backup") && $0.contains("backup/\(file)")
                }
                #expect(warning != nil, "\(report)")
                copies += 1
                let ended = try restore("backup", to: "copy\(copies)", in: scratch)
                #expect(ended.status == 0, "\(ended)")
                #expect(ended.errors.contains("backup/\(file)"), "\(ended)")
                #expect(ended.errors.contains(word), "\(ended)")
                #expect(exists(scratch, "copy\(copies)/\(checkpoint)") == withCheckpoint)
                let copy = try DaemonProcess(
                    ThroughTheSocket.small + ["--from-backup"], in: scratch,
                    data: scratch.file("copy\(copies)"))
                #expect(try copy.stop() == 0, "\(copy.errors)")
            }
            let whole = try doctor()
            #expect(whole.status == 0, "\(whole)")
            for wrong in ["byte for byte", "start one", "no daemon has ever held"] {
                #expect(!whole.output.contains(wrong), "\(wrong) in \(whole)")
            }
            // The padding in the header of a page.
            try flip("journal/data.mdb", 2 * 4_096 + 8)
            try isRestored("journal/data.mdb", "are whole", withCheckpoint: true)
            try flip("journal/data.mdb", 2 * 4_096 + 8)
            try flip("personal", 0)
            try isRestored("personal", "not byte for byte", withCheckpoint: true)
            try FileManager.default.removeItem(atPath: scratch.file("backup/personal"))
            try isRestored("personal", "held nothing", withCheckpoint: true)
            // As of one that held a text.
            let marker = scratch.file("backup/backup.json")
            let said = try contents(marker)
            try replace(
                #""bytes":32,"name":"personal""#, by: #""bytes":76,"name":"personal""#, marker)
            try isRestored("personal", "cannot be told", withCheckpoint: true)
            try said.write(to: URL(fileURLWithPath: marker))
            try flip(checkpoint, 100)
            try isRestored(checkpoint, "left out", withCheckpoint: false)
            try FileManager.default.removeItem(atPath: scratch.file("backup/\(checkpoint)"))
            try isRestored(checkpoint, "left out", withCheckpoint: false)

            // What a restore refuses, the doctor fails.
            try replace(#""seq":"#, by: #""seq":1"#, scratch.file("backup/backup.json"))
            let report = try doctor()
            #expect(report.status == 1 && report.output.contains("fail  backup"), "\(report)")
            fails(try restore("backup", to: "never", in: scratch), 65, "contradicts itself")
        }
        private func contents(_ path: String) throws -> Data {
            try Data(contentsOf: URL(fileURLWithPath: path))
        }
        private func replace(_ text: String, by other: String, _ path: String) throws {
            let whole = try String(contentsOfFile: path, encoding: .utf8)
            let range = try #require(whole.range(of: text), "\(text) in \(whole)")
            try whole.replacingCharacters(in: range, with: other)
                .write(toFile: path, atomically: false, encoding: .utf8)
        }
        private func digest(of data: Data, _ scratch: Scratch) throws -> String {
            try data.write(to: URL(fileURLWithPath: scratch.file("digest")))
            let child = try ChildProcess(["sha256sum", scratch.file("digest")], in: scratch)
            #expect(try child.wait() == 0)
            return String(child.standardOutput.prefix(64))
        }

        @Test func `places that cannot be`() throws {
            let daemon = try charged(10)
            let scratch = daemon.scratch
            try backup(daemon, "backup")
            func take(_ target: String, _ data: String, wrapper: [String] = []) throws -> Ended {
                try tollgate(
                    ["backup", scratch.file(target), "--data", data], in: scratch,
                    wrapper: wrapper)
            }
            fails(try take("backup", daemon.dataPath), 64, "is there already")
            fails(try take("none/backup", daemon.dataPath), 74, "create its parent directory")
            fails(try take("b2", scratch.file("nowhere")), 66, "there is no", "--data")
            fails(try take("b2", scratch.path), 66, "has no journal/data.mdb", "--data")
            let file = try scratch.file("file", holding: "")
            fails(try take("b2", file), 66, "is no directory", "--data")
            fails(try restore("backup", to: "file", in: scratch), 64, "is no directory")
            // In what is copied.
            fails(try take("data/inside", daemon.dataPath), 64, "lies inside")
            #expect(!exists(scratch, "data/inside.partial"))
            fails(try restore("backup", to: "backup/copy", in: scratch), 64, "lies inside")
            #expect(!exists(scratch, "backup/copy"))
            fails(
                try tollgate(["backup", "", "--data", daemon.dataPath], in: scratch), 64, "is empty"
            )
            try FileManager.default.createSymbolicLink(
                atPath: scratch.file("link"), withDestinationPath: scratch.file("nowhere"))
            fails(try take("link", daemon.dataPath), 64, "is there already")
            #expect(!exists(scratch, "link.partial"))
            if geteuid() == 0 {
                let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
                fails(
                    try take("b2", daemon.dataPath, wrapper: nobody), 77,
                    "run this as root or as the daemon's user")
            }
            // Somebody's own directory is not taken for a leftover.
            let leftover = scratch.file("b3.partial")
            try FileManager.default.createDirectory(
                atPath: leftover, withIntermediateDirectories: true)
            try Data("mine".utf8).write(to: URL(fileURLWithPath: leftover + "/notes"))
            fails(try take("b3", daemon.dataPath), 64, "no backup has left there")
            #expect(exists(scratch, "b3.partial/notes"))

            fails(try restore("b3.partial", to: "copy", in: scratch), 66, "tollgate backup")
            fails(try restore("backup", to: "data", in: scratch), 64, "is not empty")
            fails(try restore("backup", to: "none/copy", in: scratch), 74, "parent directory")
            #expect(try restore("backup", to: "copy", in: scratch).status == 0)
            fails(try restore("copy", to: "copy2", in: scratch), 64, "itself restored")
            fails(try restore("backup", to: "copy", in: scratch), 64, "is not empty")
            #expect(try daemon.client().ask("PING").text == "PONG")
            #expect(try daemon.stop() == 0)
        }

        @Test func `without a daemon, what stands only in the ring is not left out`() throws {
            let daemon = try ThroughTheSocket.daemon(["--linger-us", "1000000"])
            let scratch = daemon.scratch
            _ = try daemon.client().reserve()
            try daemon.kill()
            let words = ["backup", scratch.file("backup"), "--data", daemon.dataPath]
            fails(
                try tollgate(words, in: scratch), 64, "stand only in its ring", "start the daemon")
            #expect(!exists(scratch, "backup") && !exists(scratch, "backup.partial"))
            let again = try DaemonProcess(ThroughTheSocket.small, in: scratch)
            #expect(try again.stop() == 0)
            // Then it needs none.
            #expect(try tollgate(words, in: scratch).status == 0)
        }

        @Test func `a disk without room is said, and nothing is left on it`() throws {
            let daemon = try charged(20_000)
            let scratch = daemon.scratch
            let disk = scratch.file("disk")
            try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
            let mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", disk]
            guard geteuid() == 0, try ChildProcess(mount, in: scratch).wait() == 0 else {
                print("skipped: only root may mount a small filesystem")
                return
            }
            defer { _ = try? ChildProcess(["umount", "-l", disk], in: scratch).wait() }
            let words = ["backup", disk + "/backup", "--data", daemon.dataPath]
            fails(try tollgate(words, in: scratch), 74, "MiB", "make room")
            #expect(try FileManager.default.contentsOfDirectory(atPath: disk) == [])
            try backup(daemon, "backup")
            fails(
                try tollgate(["restore", scratch.file("backup"), disk + "/copy"], in: scratch), 74,
                "MiB", "make room")
            #expect(try FileManager.default.contentsOfDirectory(atPath: disk) == [])
            #expect(try daemon.client().ask("PING").text == "PONG")
            #expect(try daemon.stop() == 0)
        }

        @Test func `a restore that was ended in the middle is begun again`() throws {
            let daemon = try charged(10)
            let scratch = daemon.scratch
            try backup(daemon, "backup")
            #expect(try daemon.stop() == 0)
            #expect(try restore("backup", to: "copy", in: scratch).status == 0)
            // What SIGKILL leaves before the last mark is written.
            try replace(
                #""stage":"restored""#, by: #""stage":"restoring""#,
                scratch.file("copy/backup.json"))
            for flags in [[], ["--from-backup"]] {
                try refusesToServe(scratch, "copy", "did not come to its end", flags: flags)
            }
            let report = try tollgate(["doctor", "--data", scratch.file("copy")], in: scratch)
            #expect(report.status == 1 && report.output.contains("fail  backup"), "\(report)")
            #expect(try restore("backup", to: "copy", in: scratch).status == 0)
            let waiting = try tollgate(["doctor", "--data", scratch.file("copy")], in: scratch)
            #expect(waiting.status == 0 && waiting.output.contains("warn  backup"), "\(waiting)")
            let copy = try DaemonProcess(
                ThroughTheSocket.small + ["--from-backup"], in: scratch,
                data: scratch.file("copy"))
            #expect(try copy.stop() == 0)
            let served = try tollgate(["doctor", "--data", scratch.file("copy")], in: scratch)
            #expect(served.status == 0 && !served.output.contains("backup:"), "\(served)")
        }

        @Test func `as root, a restored directory belongs to its owner`() throws {
            guard geteuid() == 0 else {
                print("skipped: only root may give files away")
                return
            }
            let daemon = try charged(10)
            let scratch = daemon.scratch
            try backup(daemon, "backup")
            #expect(try daemon.stop() == 0)
            try FileManager.default.createDirectory(
                atPath: scratch.file("copy"), withIntermediateDirectories: true)
            #expect(chown(scratch.file("copy"), 12_345, 12_345) == 0)
            #expect(try restore("backup", to: "copy", in: scratch).status == 0)
            for name in ["backup.json", "journal", "journal/data.mdb", "checkpoints"] {
                var info = stat()
                #expect(stat(scratch.file("copy/\(name)"), &info) == 0 && info.st_uid == 12_345)
            }
        }
    }
}
