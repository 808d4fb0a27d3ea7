import Events

/// Where a page of an answer ended, so that the next can go on there. Whoever asks gives it back as it is.
package enum RollupCursor: Equatable, Sendable {
    /// The hour to go on with, in minutes since 1970; by key the run of accounts.
    case number(UInt32)
    /// A run of accounts, from an hour on.
    case runFrom(UInt32, UInt32)
    /// Of a tag: the hour to go on with.
    case dayRows(UInt32)
    /// Of a tag: the stored key, behind its kind, of the row that was taken last.
    case tagRows([UInt8])

    package init?(_ text: String) {
        let rest = text.dropFirst()
        let numbers = rest.split(separator: "-", omittingEmptySubsequences: false).map {
            UInt32($0)
        }
        switch text.first {
        case "r":
            guard numbers.count == 2, let run = numbers[0], let hour = numbers[1] else {
                return nil
            }
            self = .runFrom(run, hour)
        case "d":
            guard numbers.count == 1, let hour = numbers[0] else { return nil }
            self = .dayRows(hour)
        case "t":
            guard let key = hexBytes(String(rest)), key.count < RollupBounds.keyBytesMax else {
                return nil
            }
            self = .tagRows(key)
        default:
            guard let number = UInt32(text) else { return nil }
            self = .number(number)
        }
    }
}

extension RollupCursor: CustomStringConvertible {
    package var description: String {
        switch self {
        case .number(let number): return "\(number)"
        case .runFrom(let run, let hour): return "r\(run)-\(hour)"
        case .dayRows(let hour): return "d\(hour)"
        case .tagRows(let key): return "t" + key.withUnsafeBytes { Bytes($0).hex }
        }
    }
}

/// What a question may leave out: it is what most of an answer is.
package struct RollupParts: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let billed = RollupParts(rawValue: 1)
    package static let reasons = RollupParts(rawValue: 2)
    package static let latency = RollupParts(rawValue: 4)
    package static let all: RollupParts = [.billed, .reasons, .latency]

    private static let names: [(StaticString, RollupParts)] = [
        ("billed", .billed), ("reasons", .reasons), ("latency", .latency),
    ]
    /// Reads `billed,latency`.
    package init(_ text: String) throws(Failure) {
        self = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let part = RollupParts.names.first(where: { word == "\($0.0)" }) else {
                throw Failure(
                    .error, "with= knows no '\(word)': say some of billed, reasons, latency")
            }
            insert(part.1)
        }
    }
    package var text: String {
        RollupParts.names.filter { contains($0.1) }.map { "\($0.0)" }.joined(separator: ",")
    }
}

extension RollupTag {
    /// What it belongs to.
    var parts: RollupParts { raw < 256 ? .reasons : raw >> 24 == 0 ? .latency : .billed }
}

extension RollupCounts {
    /// The same without what stands under other tags.
    func only(_ parts: RollupParts) -> RollupCounts {
        guard parts != .all else { return self }
        var counts = self
        counts.tagged.removeAll { !parts.contains($0.tag.parts) }
        return counts
    }
}

/// What a model's name says.
enum ModelName {
    /// What stands before the first `/`.
    static func provider(of model: String) -> String { String(model.prefix { $0 != "/" }) }
}
