import Events

/// What a request may ask for; its first word, in any case.
package enum Verb: UInt8, CaseIterable, Sendable {
    case reserve, check, settle, release, charge
    case append, get, list, usage, events
    case info, hello, auth, ping, echo, select, quit, reset, client, command, config

    /// The verb as the syntax lines spell it.
    package var name: StaticString {
        switch self {
        case .reserve: "RESERVE"
        case .check: "CHECK"
        case .settle: "SETTLE"
        case .release: "RELEASE"
        case .charge: "CHARGE"
        case .append: "APPEND"
        case .get: "GET"
        case .list: "LIST"
        case .usage: "USAGE"
        case .events: "EVENTS"
        case .info: "INFO"
        case .hello: "HELLO"
        case .auth: "AUTH"
        case .ping: "PING"
        case .echo: "ECHO"
        case .select: "SELECT"
        case .quit: "QUIT"
        case .reset: "RESET"
        case .client: "CLIENT"
        case .command: "COMMAND"
        case .config: "CONFIG"
        }
    }

    /// The verb that `word` spells; nil when it is none of ours.
    package init?(_ word: Bytes) {
        guard let candidate = Verb.candidate(word) else { return nil }
        let name = candidate.name.utf8Start
        // The candidate has the word's length. Folding bit 5 is exact for letters: only `R` and `r`
        // become `r`.
        for i in 0..<word.count where word[at: i] | 0x20 != name[i] | 0x20 { return nil }
        self = candidate
    }

    /// The only verb `word` can be, by its length and first letter, and the third where two share
    /// both. One comparison then settles it.
    private static func candidate(_ word: Bytes) -> Verb? {
        guard word.count >= 3 else { return nil }
        let first = word[at: 0] | 0x20
        let third = word[at: 2] | 0x20
        switch (word.count, first) {
        case (3, UInt8(ascii: "g")): return .get
        case (4, UInt8(ascii: "l")): return .list
        case (4, UInt8(ascii: "i")): return .info
        case (4, UInt8(ascii: "a")): return .auth
        case (4, UInt8(ascii: "p")): return .ping
        case (4, UInt8(ascii: "e")): return .echo
        case (4, UInt8(ascii: "q")): return .quit
        case (5, UInt8(ascii: "c")): return .check
        case (5, UInt8(ascii: "u")): return .usage
        case (5, UInt8(ascii: "h")): return .hello
        case (5, UInt8(ascii: "r")): return .reset
        case (6, UInt8(ascii: "s")): return third == UInt8(ascii: "t") ? .settle : .select
        case (6, UInt8(ascii: "c")):
            if third == UInt8(ascii: "a") { return .charge }
            return third == UInt8(ascii: "i") ? .client : .config
        case (6, UInt8(ascii: "a")): return .append
        case (6, UInt8(ascii: "e")): return .events
        case (7, UInt8(ascii: "r")): return third == UInt8(ascii: "s") ? .reserve : .release
        case (7, UInt8(ascii: "c")): return .command
        default: return nil
        }
    }
}
