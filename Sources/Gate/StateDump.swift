import CLinux
import Events
import Glibc
import Journal

/// The daemon's state as a file, `state-<time>.json` in the data directory: for whoever looks at a
/// daemon that behaves oddly, and for the report about it.
///
/// One section a line, so that `grep` finds one and `jq` shows all. It holds names and counts, and nothing
/// that a request carried.
struct StateDump: Sendable {
    let directory: String
    let version: String
    let startedAt: Instant
    let options: DaemonOptions
    let checkpointer: Checkpointer
    /// The last warnings and errors of the log.
    let problems: @Sendable () -> [String]

    /// How many files stay; the older ones go.
    private static let kept = 8

    /// Writes the state; the path, or why not.
    ///
    /// - Parameter report: nil when the loop did not answer, which is then what it says.
    func write(
        _ report: GateReport?, _ watch: DiskWatch, _ journal: Journal
    ) -> Result<String, DaemonFailure> {
        let now = Kernel.wallClock()
        // A time of whole milliseconds, and no colons, which some tools take for a host's name.
        let stamp = Instant(nanoseconds: now.nanoseconds / 1_000_000 * 1_000_000).description
            .filter { $0 != ":" }
        let path = "\(directory)/state-\(stamp).json"
        var text = ByteBuffer(capacity: 8 << 10)
        text.append(UInt8(ascii: "{"))
        for (i, section) in sections(report, watch, journal, now).enumerated() {
            if i > 0 { text.append(UInt8(ascii: ",")) }
            text.append(UInt8(ascii: "\n"))
            text.append(quoted: section.name)
            text.append(UInt8(ascii: ":"))
            text.append(section.value)
        }
        text.append("\n}\n" as StaticString)
        if let code = StateDump.write(text.bytes, to: path) {
            return .failure(.io("\(path): \(String(cString: strerror(code)))"))
        }
        removeOld()
        return .success(path)
    }

    private func sections(
        _ report: GateReport?, _ watch: DiskWatch, _ journal: Journal, _ now: Instant
    ) -> [JSON.Member] {
        [
            JSON.Member("tollgate", about(journal, now)),
            JSON.Member("gate", report.map(gate) ?? .string("the loop has not answered: it hangs")),
            JSON.Member("connections", report.map(connections) ?? .null),
            JSON.Member("most_unsent", report.map(largest) ?? .null),
            JSON.Member("journal", StateDump.journal(journal)),
            JSON.Member("checkpoints", checkpoints(journal)),
            JSON.Member("disk", disk(watch)),
            JSON.Member("memory", StateDump.memory()),
            JSON.Member("options", settings()),
            JSON.Member("problems", .strings(problems())),
        ]
    }

    private func about(_ journal: Journal, _ now: Instant) -> JSON {
        var kernel = utsname()
        uname(&kernel)
        let release = withUnsafeBytes(of: &kernel.release) { raw in
            String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
        }
        return object([
            ("version", .string(version)), ("lmdb", .string(Journal.lmdbVersion)),
            ("crc32c", .string(String(cString: tg_crc32c_kind()))), ("kernel", .string(release)),
            ("pid", .integer(Int64(getpid()))), ("at", .string(now.description)),
            ("started_at", .string(startedAt.description)),
            ("uptime_seconds", .integer((now.nanoseconds - startedAt.nanoseconds) / 1_000_000_000)),
            ("ledger", .string(journal.ledgerID.description)),
        ])
    }
    private func gate(_ report: GateReport) -> JSON {
        object([
            ("event_time", .string(report.at.description)), ("seq", count(report.seq)),
            ("epoch", .integer(Int64(report.epoch))), ("read_only", .bool(report.isReadOnly)),
            ("accounts", count(report.accounts)), ("models", count(report.models)),
            ("open_holds", count(report.openHolds)),
            ("remembered_holds", count(report.rememberedHolds)),
            ("commands", count(report.commands)),
            ("decisions", count(report.decisions)),
            ("allowed", count(report.allowed)), ("denied", count(report.denied)),
            ("connections_ever", count(report.connectionsEver)),
            ("connections_rejected", count(report.connectionsRejected)),
        ])
    }
    private func connections(_ report: GateReport) -> JSON {
        let counts = report.connections
        return object([
            ("open", count(counts.all)), ("unfinished_request", count(counts.unfinishedRequest)),
            ("awaiting_disk", count(counts.awaitingDisk)),
            ("awaiting_reader", count(counts.awaitingReader)),
            ("following", count(counts.following)),
            ("awaiting_ring", count(counts.awaitingRing)),
            ("awaiting_room", count(counts.awaitingRoom)),
            ("not_reading", count(counts.notReading)), ("ended", count(counts.ended)),
            ("unsent_bytes", count(counts.unsentBytes)),
        ])
    }
    private func largest(_ report: GateReport) -> JSON {
        .array(
            report.largest.map {
                object([
                    ("connection", count($0.id)), ("address", .string($0.address)),
                    ("user", .string($0.user)), ("client_name", .string($0.clientName)),
                    ("unsent_bytes", count($0.unsentBytes)),
                    ("connected_at", .string($0.connectedAt.description)),
                ])
            })
    }
    private static func journal(_ journal: Journal) -> JSON {
        let all = journal.statistics
        let state: String =
            switch journal.state {
            case .normal: "normal"
            case .paused: "paused"
            case .readOnly: "readonly"
            }
        return object([
            ("state", .string(state)), ("reason", .string(journal.stateReason)),
            ("staged_seq", count(journal.stagedSeq)), ("durable_seq", count(journal.durableSeq)),
            ("ring_bytes", count(all.ringBytes)), ("ring_used_bytes", count(all.ringUsedBytes)),
            ("commits", count(all.commits)), ("failed_commits", count(all.failedCommits)),
            ("committed_events", count(all.events)), ("committed_bytes", count(all.bytes)),
            ("last_commit_us", count(all.lastCommitNanoseconds / 1_000)),
            ("map_bytes", count(all.mapBytes)), ("map_used_bytes", count(all.mapUsedBytes)),
        ])
    }
    private func checkpoints(_ journal: Journal) -> JSON {
        object([
            ("newest_seq", count(checkpointer.newestSeq)),
            (
                "events_behind",
                count(journal.durableSeq - min(journal.durableSeq, checkpointer.newestSeq))
            ),
            ("bytes", .array(journal.checkpointSizes.map { .integer(Int64($0)) })),
            ("problem", checkpointer.problem.map { .string($0) } ?? .null),
        ])
    }
    private func disk(_ watch: DiskWatch) -> JSON {
        object([
            ("free_bytes", .integer(watch.free)), ("pause_below_bytes", .integer(watch.pauseBelow)),
            ("log_bytes_per_hour", watch.growth.map { .integer(Int64($0 * 3_600)) } ?? .null),
            ("pause_in_seconds", watch.secondsLeft.map { .integer($0) } ?? .null),
        ])
    }
    /// As the kernel counts it: the book is in `anonymous`, journal pages are in `file`, the ring is
    /// in `shared` or `file`, as its filesystem has it.
    private static func memory() -> JSON {
        let wanted = [
            ("VmRSS", "resident"), ("VmHWM", "resident_most"), ("RssAnon", "anonymous"),
            ("RssFile", "file"), ("RssShmem", "shared"), ("VmSwap", "swapped"),
        ]
        let lines = text(of: "/proc/self/status").split(separator: "\n")
        return object(
            wanted.compactMap { name, label in
                guard let line = lines.first(where: { $0.hasPrefix(name + ":") }),
                    let kibibytes = Int64(line.split(whereSeparator: { " \t".contains($0) })[1])
                else { return nil }
                return (label + "_bytes", .integer(kibibytes << 10))
            })
    }
    private func settings() -> JSON {
        object([
            ("data", .string(options.dataDirectory)),
            ("socket", .string(options.effectiveSocketPath)),
            ("tcp", options.tcpHost.map { .string("\($0):\(options.tcpPort ?? 0)") } ?? .null),
            ("ring_mib", count(options.ringMebibytes)), ("map_gib", count(options.mapGibibytes)),
            ("linger_us", count(options.lingerMicroseconds)),
            ("pause_below_mib", count(options.pauseBelowMebibytes)),
            ("connections_max", count(options.connectionsMax)),
            ("waiting_max", count(options.waitingMax)),
            ("checkpoint_events", count(options.checkpointEvents)),
            ("idle_line_seconds", count(options.idleLineSeconds)),
            ("auth_seconds", count(options.authSeconds)),
            ("spin_us", count(options.spinMicroseconds)),
            ("readers", count(options.readers)),
        ])
    }

    /// Nil, or the errno: whole or not at all.
    private static func write(_ bytes: Bytes, to path: String) -> Int32? {
        let temporary = path + ".tmp"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { return errno }
        var done = 0
        while done < bytes.count {
            let n = Glibc.write(file, bytes.base! + done, bytes.count - done)
            if n < 0, errno == EINTR { continue }
            guard n > 0 else {
                let code = errno
                close(file)
                unlink(temporary)
                return code
            }
            done += n
        }
        close(file)
        return rename(temporary, path) == 0 ? nil : errno
    }
    private func removeOld() {
        guard let folder = opendir(directory) else { return }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasPrefix("state-"), name.hasSuffix(".json") { names.append(name) }
        }
        // Their names are times, so their order is too.
        for name in names.sorted().dropLast(StateDump.kept) { unlink("\(directory)/\(name)") }
    }
    private static func text(of path: String) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        let bytes = [UInt8](unsafeUninitializedCapacity: 16 << 10) { buffer, count in
            count = max(read(file, buffer.baseAddress!, buffer.count), 0)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

private func object(_ members: [(String, JSON)]) -> JSON {
    .object(members.map { JSON.Member($0.0, $0.1) })
}
private func count(_ value: some BinaryInteger) -> JSON { .integer(Int64(clamping: value)) }
