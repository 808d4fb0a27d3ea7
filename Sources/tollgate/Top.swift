import ArgumentParser
import CLinux
import Events
import Glibc

/// `tollgate top`: who asks how much, now.
struct Top: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Watch teams and keys: requests, refusals, money, limits, latency.",
        discussion: """
            Examples:
              tollgate top
              tollgate top --interval 5 --account acme/ml
              tollgate top --interval 60 --rows 50 >> top.log

            REQ/S and DENY/S count the last interval; $/MIN and the upstream latencies (of
            SETTLE's ms=, to an eighth) the last minute, or what was watched of it. USED % is
            of the limit that is used up most, with what is held. The busiest teams come
            first, each with its keys. On a terminal it redraws itself until Ctrl-C or q;
            otherwise it prints a block each interval.
            """
    )
    @OptionGroup var connection: ConnectionOptions
    @Option(help: ArgumentHelp("Seconds between two looks, 1 to 60.", valueName: "seconds"))
    var interval: Int64 = 2
    @Option(help: ArgumentHelp("Only this org or team.", valueName: "account"))
    var account: String?
    @Option(
        help: ArgumentHelp("Lines to show; by default what fits, or 20.", valueName: "n"))
    var rows: Int?
    @Option(help: ArgumentHelp("End after so many looks.", valueName: "n")) var count: Int?

    func run() throws {
        guard (1...Activity.seconds).contains(interval) else {
            throw CommandFailure(.usage, "--interval \(interval): say 1 to \(Activity.seconds)")
        }
        for (name, value) in [("rows", rows), ("count", count)] {
            if let value, value < 1 {
                throw CommandFailure(.usage, "--\(name) must be 1 or more")
            }
        }
        if let account, account.withBytes({ AccountPath.tier($0) == .key }) {
            throw CommandFailure(
                .usage, "--account \(account) is a key: say its team, whose keys are shown")
        }
        var board = try TopBoard(try connection.target(), account: account, interval: interval)
        let screen = TopScreen(rows: rows)
        screen.open()
        defer { screen.close() }
        var left = count ?? .max
        while left > 0, Interrupt.count == 0 {
            guard try board.watch(screen.isAskedToEnd) else { break }
            screen.show(try board.lines(atMost: screen.rows))
            left -= 1
        }
    }
}

/// What `top` shows, from the live log and from USAGE.
private struct TopBoard {
    private let target: Target
    private let account: String?
    private let interval: Int64
    private let log: LiveLog
    private var client: Client?
    private var activity = Activity()
    /// Seconds of a clock that nobody sets.
    private var look: Int64
    private let begun: Int64
    private var lastSeq: Int64
    /// What the live log had to say since the last look, where the screen would hide it.
    private let remark = Remark()
    /// How old the newest event was when it came, in nanoseconds.
    private var behind: Int64 = 0

    private static let behindMax: Int64 = 30_000_000_000

    init(_ target: Target, account: String?, interval: Int64) throws(CommandFailure) {
        self.target = target
        self.account = account
        self.interval = interval
        let client = try Client(target)
        var filter: [String] = []
        if let account {
            try client.require(account: account)
            filter.append("account=\(account)")
        }
        log = try LiveLog(target, from: nil, filter: filter)
        if Style.output.isTerminal { log.tell = { [remark] in remark.text = $0 } }
        self.client = client
        lastSeq = log.next - 1
        look = monotonicMilliseconds() / 1_000
        begun = look
    }

    /// Gathers events until the next look is due; false when it is not waited for.
    mutating func watch(_ isOver: () -> Bool) throws(CommandFailure) -> Bool {
        look += interval
        while true {
            let left = look * 1_000 - monotonicMilliseconds()
            guard left > 0 else { break }
            if Interrupt.count > 0 || isOver() { return false }
            // Not for long, so that it is seen soon when somebody asks for the end.
            guard let event = try log.event(within: Int32(min(left, 200))) else {
                behind = 0
                continue
            }
            activity.add(event, at: monotonicMilliseconds() / 1_000)
            lastSeq = event["seq"]?.integer ?? lastSeq
            if let time = event.instant("time") {
                behind = Instant.wallClock.nanoseconds - time.nanoseconds
            }
        }
        // Old news tells nothing of now.
        if behind > TopBoard.behindMax {
            log.tell("tollgate: this reader is too slow for all events; some are left out")
            log.skipToEnd()
            activity = Activity()
            behind = 0
        }
        // Looks that took longer than an interval are not made up for.
        look = max(look, monotonicMilliseconds() / 1_000)
        activity.advance(to: look)
        return true
    }

    // MARK: What is shown

    mutating func lines(atMost rows: Int) throws(CommandFailure) -> [String] {
        let recent = activity.sums(before: look, last: interval)
        let minute = activity.sums(before: look, last: Activity.seconds)
        let accounts = busiest(minute, atMost: rows)
        let usages = usages(of: accounts)
        var table = Table([
            .text("ACCOUNT"), .number("REQ/S"), .number("DENY/S"), .number("$/MIN"),
            .number("HELD"), .number("OPEN"), .number("USED %"), .text("LIMIT"),
            .number("P50 MS"), .number("P99 MS"),
        ])
        for account in accounts {
            let now = recent[account] ?? Activity.Sum()
            let past = minute[account] ?? Activity.Sum()
            let tight = usages[account].flatMap(TopBoard.tightest)
            table.add([
                label(account), rate(now.requests), rate(now.denied), TopBoard.money(past.usd),
                usages[account]?["limits"]?["usd.total"]?["held"].map { Money.rounded($0) } ?? "-",
                usages[account]?.cell("open_holds") ?? "-",
                tight.map { "\($0.percent)" } ?? "-", tight?.name ?? "-",
                past.latency(percent: 50).map { "\($0)" } ?? "-",
                past.latency(percent: 99).map { "\($0)" } ?? "-",
            ])
        }
        defer { remark.text = nil }
        return [headline(recent, minute)] + table.lines() + (remark.text.map { [$0] } ?? [])
    }
    private func headline(
        _ recent: [String: Activity.Sum], _ minute: [String: Activity.Sum]
    ) -> String {
        func total(_ sums: [String: Activity.Sum], _ part: (Activity.Sum) -> Int) -> Int {
            // Each event counts once: on its org, or on none.
            sums.filter { !$0.key.contains("/") }.reduce(0) { $0 + part($1.value) }
        }
        var parts = [
            String(Instant.wallClock.description.prefix(19)) + "Z",
            "\(rate(total(recent, \.requests))) req/s", "\(rate(total(recent, \.denied))) denied/s",
            "$\(TopBoard.money(Int64(total(minute) { Int($0.usd) })))/min", "event \(lastSeq)",
        ]
        if look - begun < Activity.seconds { parts.append("watched for \(look - begun) s") }
        if behind > 2_000_000_000 { parts.append("behind by \(behind / 1_000_000_000) s") }
        return parts.joined(separator: "  ")
    }
    /// Orgs, teams and keys as far as they fit, the busiest first, each above what stands below it.
    private func busiest(_ sums: [String: Activity.Sum], atMost rows: Int) -> [String] {
        func precedes(_ a: String, _ b: String) -> Bool {
            let (x, y) = (sums[a]!.requests, sums[b]!.requests)
            return x != y ? x > y : a < b
        }
        var below: [Substring: [String]] = [:]
        for account in sums.keys {
            let parent = account.lastIndex(of: "/").map { account[..<$0] } ?? ""
            below[parent, default: []].append(account)
        }
        var found: [String] = []
        func add(_ parent: Substring) {
            for account in (below[parent] ?? []).sorted(by: precedes) where found.count < rows {
                found.append(account)
                if !account.isEmpty { add(Substring(account)) }
            }
        }
        add("")
        return found
    }
    /// USAGE of each; nothing while the daemon is away.
    private mutating func usages(of accounts: [String]) -> [String: JSON] {
        let named = accounts.filter { !$0.isEmpty }
        do throws(CommandFailure) {
            if client == nil { client = try Client(target) }
            guard let client else { return [:] }
            let replies = try client.pipeline(named.map { ["USAGE", $0] })
            return Dictionary(
                zip(named, replies).compactMap { account, reply in
                    (try? Client.json(reply, of: "USAGE")).map { (account, $0) }
                }, uniquingKeysWith: { $1 })
        } catch {
            client = nil
            return [:]
        }
    }
    private static func tightest(_ usage: JSON) -> (name: String, percent: Int)? {
        (usage["limits"]?.members ?? []).compactMap { limit in
            share(limit.value).map { (limit.name, $0) }
        }.max { $0.1 < $1.1 }
    }
    /// How much of a limit is used or held, in percents rounded down.
    private static func share(_ limit: JSON) -> Int? {
        if limit["limit"]?.string != nil { return Int(Money.percent(limit)) }
        guard let amount = limit["limit"]?.integer, amount > 0 else { return nil }
        let used = (limit["used"]?.integer ?? 0) + (limit["held"]?.integer ?? 0)
        return Int(Int128(used) * 100 / Int128(amount))
    }
    private func label(_ account: String) -> String {
        if account.isEmpty { return "(no such key)" }
        let names = account.split(separator: "/")
        return String(repeating: "  ", count: names.count - 1) + names[names.count - 1]
    }
    private func rate(_ count: Int) -> String {
        let tenths = count * 10 / Int(interval)
        return tenths >= 1_000 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }
    private static func money(_ nanodollars: Int64) -> String {
        Money.rounded(.string(Nanodollars(nanodollars).description))
    }
}

private final class Remark {
    var text: String?
}

/// Where it is shown: a terminal is drawn over, anything else is written on.
private final class TopScreen {
    private let isTerminal = Style.output.isTerminal
    private let wanted: Int?
    private var before: termios?
    private var isFirst = true

    init(rows: Int?) { wanted = rows }

    /// Lines for accounts.
    var rows: Int {
        if let wanted { return wanted }
        var size = winsize()
        guard isTerminal, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 4
        else { return 20 }
        return Int(size.ws_row) - 4
    }

    func open() {
        guard isTerminal else { return }
        Interrupt.catchSignals()
        // Keys come at once and are not shown; Ctrl-C stays a signal.
        var settings = termios()
        if isatty(STDIN_FILENO) == 1, tcgetattr(STDIN_FILENO, &settings) == 0 {
            before = settings
            settings.c_lflag &= ~tcflag_t(ICANON | ECHO)
            tcsetattr(STDIN_FILENO, TCSANOW, &settings)
        }
        // A screen of its own, so that what stood there comes back; no cursor; long lines are cut.
        write("\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l")
    }
    func close() {
        guard isTerminal else { return }
        write("\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l")
        if var before { tcsetattr(STDIN_FILENO, TCSANOW, &before) }
    }
    func show(_ lines: [String]) {
        if isTerminal {
            write("\u{1B}[H" + lines.map { $0 + "\u{1B}[K\r\n" }.joined() + "\u{1B}[J")
        } else {
            if !isFirst { Console.print("") }
            for line in lines { Console.print(line) }
            Console.flush()
        }
        isFirst = false
    }
    /// Whether somebody has pressed q.
    func isAskedToEnd() -> Bool {
        guard before != nil else { return false }
        var entry = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        var key: UInt8 = 0
        while poll(&entry, 1, 0) > 0, entry.revents & Int16(POLLIN) != 0,
            read(STDIN_FILENO, &key, 1) == 1
        {
            if key == UInt8(ascii: "q") { return true }
        }
        return false
    }

    private func write(_ text: String) {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let n = bytes[sent...].withUnsafeBytes {
                Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count)
            }
            if n < 0, errno != EINTR { return }
            sent += max(n, 0)
        }
    }
}
