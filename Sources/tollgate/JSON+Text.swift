import Events

/// JSON as a command reads and prints it; members keep the order in which the daemon sent them.
extension JSON {
    /// Parses a reply of the daemon.
    init(reply text: String) throws(CommandFailure) {
        do throws(JSONError) {
            self = try text.withBytes { (bytes) throws(JSONError) in try JSON(parsing: bytes) }
        } catch {
            throw CommandFailure(
                .protocolBroken, "the daemon's reply is \(error.explanation): \(text.prefix(80))")
        }
    }

    /// One line without spaces.
    var compact: String {
        var buffer = ByteBuffer(capacity: 256)
        buffer.append(self)
        return buffer.string
    }
    /// Two spaces an indentation; short lists of plain values stay in one line.
    func pretty(indent: String = "") -> String {
        let inner = indent + "  "
        switch self {
        case .object(let members) where !members.isEmpty:
            let lines = members.map {
                "\(inner)\(JSON.string($0.name).compact): \($0.value.pretty(indent: inner))"
            }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(indent)}"
        case .array(let items) where items.contains(where: \.isNested):
            let lines = items.map { inner + $0.pretty(indent: inner) }
            return "[\n" + lines.joined(separator: ",\n") + "\n\(indent)]"
        case .array(let items):
            return "[" + items.map(\.compact).joined(separator: ", ") + "]"
        default: return compact
        }
    }
    private var isNested: Bool {
        switch self {
        case .object, .array: true
        default: false
        }
    }

    /// The value as it stands in a table: no quotes, `-` for null and absent.
    var plain: String {
        switch self {
        case .null: "-"
        case .bool(let value): value ? "yes" : "no"
        case .number(let text), .string(let text): text
        case .array(let items): items.isEmpty ? "none" : items.map(\.plain).joined(separator: ",")
        case .object(let members):
            members.isEmpty
                ? "-"
                : members.map { "\($0.name)=\($0.value.isNull ? "none" : $0.value.plain)" }
                    .joined(separator: " ")
        }
    }
    /// A member in a table; `-` when it is absent.
    func cell(_ name: String) -> String { self[name]?.plain ?? "-" }

    /// A member that is an instant; nil when it is absent or none.
    func instant(_ name: String) -> Instant? {
        self[name]?.string.flatMap { text in text.withBytes { Instant(parsing: $0) } }
    }
    /// A member that is an amount; nil when it is absent or none.
    func money(_ name: String) -> Nanodollars? {
        self[name]?.string.flatMap { text in
            text.withBytes { bytes in try? Nanodollars(parsing: bytes) }
        }
    }

    /// An instant in a table, to the second.
    func timeCell(_ name: String) -> String {
        let text = cell(name)
        return text.count > 20 && text.hasSuffix("Z") ? text.prefix(19) + "Z" : text
    }

    /// Prints for a machine: pretty on a terminal, one line in a pipe.
    func print() { Console.print(Style.output.isTerminal ? pretty() : compact) }
}
