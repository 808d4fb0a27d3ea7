import Events
import Glibc

/// What is fuzzed: a name for the command line and for the corpus, and what must hold for any bytes.
///
/// A new decoder costs a case, the properties it must keep, and a few seeds. A new verb or event costs
/// what its row in `Verbs` or `StoredEvents` needs: the others find it by themselves.
package enum FuzzTarget: String, CaseIterable, Sendable {
    /// Inline lines, as `nc` sends them.
    case line
    /// RESP2 and RESP3 frames, cut anywhere on their way.
    case frame
    /// Stored events, and JSON.
    case event
    /// A book that was written down.
    case checkpoint
    /// A page of the journal.
    case page
    /// What a ring still holds at the start.
    case ring
    /// Signed notes, their keys, and proofs.
    case note
    /// Requests to a furnished ledger: decided, folded, written down, folded again.
    case decide

    /// - Throws: `Broken` when a property does not hold. What a decoder must never do (trap, read
    ///   outside its bytes) ends the process instead.
    package func check(_ input: Bytes) throws(Broken) {
        switch self {
        case .line: try RequestStream.check(input, .line)
        case .frame: try RequestStream.check(input, .frame)
        case .event: try StoredEvents.check(input)
        case .checkpoint: try Checkpoints.check(input)
        case .page: try Pages.check(input)
        case .ring: try Rings.check(input)
        case .note: try Notes.check(input)
        case .decide: try Decisions.check(input)
        }
    }

    /// Inputs to begin with that no file in the corpus needs to hold, because our own encoders make
    /// them: they follow every change of a layout.
    package var seeds: [[UInt8]] {
        switch self {
        case .line: RequestStream.lines
        case .frame: RequestStream.seeds
        case .event: StoredEvents.seeds
        case .checkpoint: Checkpoints.seeds
        case .page: Pages.seeds
        case .ring: Rings.seeds
        case .note: Notes.seeds
        case .decide: Decisions.seeds
        }
    }
}

/// A property that an input broke.
package struct Broken: Error, CustomStringConvertible {
    package let description: String
    init(_ what: String) { description = what }
}

func require(_ holds: Bool, _ what: @autoclosure () -> String) throws(Broken) {
    if !holds { throw Broken(what()) }
}

extension Bytes {
    /// A copy that outlives what the bytes were borrowed from.
    var array: [UInt8] { Array(UnsafeRawBufferPointer(start: base, count: count)) }
    /// The byte at `i`, or 0 behind the end.
    func byte(_ i: Int) -> UInt8 { i < count ? self[i] : 0 }
    func from(_ i: Int) -> Bytes { slice(min(i, count), count) }
}

extension Array where Element == UInt8 {
    func withBytes<R>(_ body: (Bytes) throws(Broken) -> R) throws(Broken) -> R {
        var result: Result<R, Broken>?
        withUnsafeBytes { raw in
            do throws(Broken) { result = .success(try body(Bytes(raw))) } catch {
                result = .failure(error)
            }
        }
        return try result!.get()
    }
    var text: String { String(decoding: self, as: UTF8.self) }
}

/// Choices that depend on the input alone, so that an input that broke something breaks it again.
struct Dice {
    private var state: UInt64
    init(_ input: Bytes) { state = Hash128(input).low }
    mutating func roll(_ sides: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(sides))
    }
}

// MARK: What the runner asks

extension FuzzTarget {
    package static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }
    package static var fromEnvironment: FuzzTarget? {
        variable("TOLLGATE_FUZZ_TARGET").flatMap(FuzzTarget.init)
    }
    /// Where the seeds shall go instead of running.
    package static var seedFolder: String? { variable("TOLLGATE_FUZZ_SEEDS") }

    package func writeSeeds(to folder: String) {
        for (number, seed) in seeds.enumerated() {
            let file = open("\(folder)/seed-\(number)", O_WRONLY | O_CREAT | O_TRUNC, 0o644)
            precondition(
                file >= 0 && write(file, seed, seed.count) == seed.count, "cannot write \(folder)")
            close(file)
        }
    }
    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }
}
