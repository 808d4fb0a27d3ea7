import Events

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
