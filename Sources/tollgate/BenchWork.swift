import CEcho
import Events
import Glibc
import Ledger

/// The same work in every run, for callgrind to count.
///
/// Times are for comparing two programs on one machine in one run; instructions and allocations are
/// for comparing this program with what it was yesterday, whoever else uses the machine.
enum BenchWork: String, CaseIterable {
    case parseLine = "parse_line"
    case parseFrame = "parse_frame"
    case reserve
    case reserveReplied = "reserve_replied"
    case settle
    case check
    case refuse
    case fold

    var what: String {
        switch self {
        case .parseLine: "RESERVE as a line: parse"
        case .parseFrame: "RESERVE as a RESP frame: parse"
        case .reserve: "RESERVE: parse + decide + apply + stage"
        case .reserveReplied: "the same and its answer written"
        case .settle: "SETTLE: parse + decide + apply + stage"
        case .check: "CHECK: parse + decide"
        case .refuse: "RESERVE refused, in a flood"
        case .fold: "an event folded on replay"
        }
    }

    private static let keys = 256
    /// Of each thing; a multiple of what is written at once.
    private static let commands = 8 * BenchLedger.burst
    /// Before anything is counted, so many holds have ended that the book has stopped growing.
    private static let warmUp = 1 << 20
    /// Committed at once while warming up.
    private static let stride = 1 << 14

    /// Does all of it and has callgrind write a file for each, named as the case is.
    ///
    /// - Parameter isSmoke: a little of it, to see it work.
    static func run(in directory: String, isSmoke: Bool) throws(CommandFailure) {
        var ledger = try BenchLedger.make(keys: keys, directory: directory)
        try ledger.createBrokeKey()
        for _ in 0..<(isSmoke ? 1 : warmUp / stride + 1) {
            _ = try ledger.run(requests: isSmoke ? BenchLedger.burst : stride)
            try ledger.waitDurable()
        }
        var log = ByteBuffer(capacity: 1 << 20)
        let parts = try writeLog(into: &log)
        try ledger.stopCommitting(in: directory)
        tg_count_begin()
        for work in allCases {
            let commands = isSmoke ? BenchLedger.burst : Self.commands
            switch work {
            case .parseLine: try ledger.parse(commands, .line, meter: .instructions)
            case .parseFrame: try ledger.parse(commands, .frame, meter: .instructions)
            case .reserve:
                _ = try ledger.ask(commands, meter: .instructions)
                _ = try ledger.settle()
            case .reserveReplied:
                _ = try ledger.ask(commands, replying: true, meter: .instructions)
                _ = try ledger.settle()
            case .settle:
                _ = try ledger.ask(commands)
                _ = try ledger.settle(meter: .instructions)
            case .check: _ = try ledger.ask(commands, .check, meter: .instructions)
            case .refuse: _ = try ledger.ask(commands, .broke, meter: .instructions)
            case .fold: try fold(log.bytes, parts)
            }
            tg_count_dump(work.rawValue)
        }
    }
    /// How often each was done, to divide by.
    var times: Int { self == .fold ? Self.foldedEvents : Self.commands }

    /// Holds placed and settled, two events each.
    private static let foldedEvents = 2 * commands
    /// A log of twice that and the ledger's keys before it; where its second half begins.
    private static func writeLog(into log: inout ByteBuffer) throws(CommandFailure) -> Int {
        var ledger = try BenchLedger.make(keys: keys, directory: nil)
        _ = try ledger.run(requests: commands)
        log.append(ledger.machine.outbox.bytes)
        ledger.machine.outbox.removeAll()
        let middle = log.count
        _ = try ledger.run(requests: commands)
        log.append(ledger.machine.outbox.bytes)
        return middle
    }
    private static func fold(_ log: Bytes, _ middle: Int) throws(CommandFailure) {
        var book = Book()
        var isWhole = BenchFold.fold(log.slice(0, middle), into: &book)
        tg_count_toggle()
        isWhole = BenchFold.fold(log.slice(middle, log.count), into: &book) && isWhole
        tg_count_toggle()
        guard isWhole else { throw BenchFold.broken }
    }
}
