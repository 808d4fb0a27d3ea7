import Events

/// One request of a client, and what it needs to judge the answer. A new verb is a case here, a line in
/// `Catalog.asks` that makes it, and a case in `Judge`.
struct Ask {
    enum Kind {
        case reserve(key: String, input: Int64, output: Int64, id: String)
        case check
        case extend(HoldName, input: Int64, output: Int64)
        case settle(HoldName, TokenUsage, outcome: Outcome, tier: ServiceTier?, isChargeable: Bool)
        case release(HoldName)
        case charge(key: String, TokenUsage, id: String)
        case append(EventType, creates: String?)
        case events(from: UInt64, limit: Int)
        case log(from: UInt64, limit: Int)
        /// Events, one after the other, until something else is sent.
        case tail(from: UInt64)
        case personal
        case rollups
        case tree(TreeAsk)
        /// Of one org's people, or of all.
        case erase(Person, org: String?)
        /// Whose answer says nothing that could be wrong.
        case other
    }
    enum TreeAsk {
        case checkpoint
        case inclusion(seq: Int)
        case consistency(old: Int)
    }
    var words: [String]
    var kind: Kind
    var onDisk = true
    /// Whether an error is one of the right answers.
    var mayFail = false
    /// Whether the sender had been told that the key exists.
    var keyIsKnown = false
    /// What it says of people.
    var persons: [Person] = []

    // As of sending.
    var step = 0
    var seq: UInt64 = 0
    var durable: UInt64 = 0
    var life = 0
    /// Of an erasure: which one it is, and how many requests had brought the text when all of them were
    /// answered; nil while some were not.
    var erasure = 0
    var sent: Int?
    /// Texts that nobody may be shown, unless somebody brings them once more.
    var gone: Set<Person> = []

    /// Plain lines, or a frame as Redis clients send it.
    func encoded(asFrame: Bool) -> [UInt8] {
        if asFrame {
            var text = "*\(words.count)\r\n"
            for word in words { text += "$\(word.utf8.count)\r\n\(word)\r\n" }
            return Array(text.utf8)
        }
        let quoted = words.map { $0.contains(" ") || $0.contains("\"") ? "'\($0)'" : $0 }
        return Array((quoted.joined(separator: " ") + "\r\n").utf8)
    }
    var text: String {
        let line = words.joined(separator: " ")
        return line.utf8.count > 160 ? String(line.prefix(150)) + "…" : line
    }
}

/// What the daemon said.
enum Reply {
    /// With its first character.
    case line(String)
    case bulk(String)
    /// The same, of what is no text.
    case bytes([UInt8])

    var text: String {
        switch self {
        case .line(let line): line
        case .bytes(let bytes): "$\(bytes.count) bytes"
        case .bulk(let text): "$" + (text.utf8.count > 100 ? String(text.prefix(90)) + "…" : text)
        }
    }
}
