import Events

/// What a request may ask for; its first word, in any case.
package enum Verb: UInt8, CaseIterable, Sendable {
    case reserve, check, extend, settle, release, charge
    case append, get, list, usage, events, explain, tail, tree, rollups, log, names, erase, personal
    case info, hello, auth, ping, echo, select, quit, reset, client, command, config

    /// The verb as the syntax lines spell it.
    package var name: StaticString {
        switch self {
        case .reserve: "RESERVE"
        case .check: "CHECK"
        case .extend: "EXTEND"
        case .settle: "SETTLE"
        case .release: "RELEASE"
        case .charge: "CHARGE"
        case .append: "APPEND"
        case .get: "GET"
        case .list: "LIST"
        case .usage: "USAGE"
        case .events: "EVENTS"
        case .explain: "EXPLAIN"
        case .tail: "TAIL"
        case .tree: "TREE"
        case .rollups: "ROLLUPS"
        case .erase: "ERASE"
        case .personal: "PERSONAL"
        case .log: "LOG"
        case .names: "NAMES"
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
        guard word.count >= 1, word.count <= 8 else { return nil }
        // Folding bit 5 is exact for letters: only `R` and `r` become `r`. Behind the word's end
        // nothing is folded, so that a NUL is not taken for it.
        let unused = UInt64(truncatingIfNeeded: 64 &- 8 &* word.count)
        let bits = ((0x2020_2020_2020_2020 as UInt64) &<< unused) &>> unused
        let folded = Word.first(word) | bits
        guard let verb = Verb.spelt(folded) else { return nil }
        self = verb
    }
    /// The verb's letters in lower case as they lie in memory, the first lowest. `WireTests` hold these
    /// numbers and the names together.
    @inline(__always)
    private static func spelt(_ word: UInt64) -> Verb? {
        switch word {
        case 0x65_7672_6573_6572: .reserve
        case 0x6B_6365_6863: .check
        case 0x646E_6574_7865: .extend
        case 0x656C_7474_6573: .settle
        case 0x65_7361_656C_6572: .release
        case 0x6567_7261_6863: .charge
        case 0x646E_6570_7061: .append
        case 0x74_6567: .get
        case 0x7473_696C: .list
        case 0x65_6761_7375: .usage
        case 0x7374_6E65_7665: .events
        case 0x6E_6961_6C70_7865: .explain
        case 0x6C69_6174: .tail
        case 0x6565_7274: .tree
        case 0x73_7075_6C6C_6F72: .rollups
        case 0x65_7361_7265: .erase
        case 0x6C61_6E6F_7372_6570: .personal
        case 0x67_6F6C: .log
        case 0x73_656D_616E: .names
        case 0x6F66_6E69: .info
        case 0x6F_6C6C_6568: .hello
        case 0x6874_7561: .auth
        case 0x676E_6970: .ping
        case 0x6F68_6365: .echo
        case 0x7463_656C_6573: .select
        case 0x7469_7571: .quit
        case 0x74_6573_6572: .reset
        case 0x746E_6569_6C63: .client
        case 0x64_6E61_6D6D_6F63: .command
        case 0x6769_666E_6F63: .config
        default: nil
        }
    }
}
