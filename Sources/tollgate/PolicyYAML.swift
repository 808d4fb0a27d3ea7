import Events
import Yams

/// A YAML value with the line it stands in, so that a mistake in a policy file can be shown.
///
/// Numbers keep their text, as everywhere: no amount of money becomes a floating-point number.
struct PolicyNode {
    enum Value {
        case null
        /// As written; `isQuoted` tells `"12"` from `12`.
        case text(String, isQuoted: Bool)
        case list([PolicyNode])
        case map([Entry])
    }
    struct Entry {
        var name: String
        var line: Int
        var node: PolicyNode
    }
    var value: Value
    /// From 1.
    var line: Int

    /// Anchors make a small file a large tree; no policy is as large as this.
    private static let nodesMax = 2_000_000

    /// Reads one YAML document.
    static func read(_ text: String, path: String) throws(CommandFailure) -> PolicyNode {
        do {
            guard let root = try Yams.compose(yaml: text) else {
                throw CommandFailure(.data, "\(path) is empty: see 'tollgate apply --help'")
            }
            var budget = nodesMax
            return try convert(root, path, &budget)
        } catch let failure as CommandFailure {
            throw failure
        } catch let error as YamlError {
            throw CommandFailure(.data, explain(error, path))
        } catch {
            throw CommandFailure(.data, "\(path) is no YAML: \(error)")
        }
    }

    private static func convert(
        _ node: Node, _ path: String, _ budget: inout Int
    ) throws(CommandFailure) -> PolicyNode {
        budget -= 1
        let line = node.mark?.line ?? 1
        guard budget > 0 else {
            throw CommandFailure(.data, "\(path):\(line): the file's aliases unfold to too much")
        }
        switch node {
        case .scalar(let scalar):
            let isPlain = scalar.style == .plain || scalar.style == .any
            if isPlain, ["", "~", "null", "Null", "NULL"].contains(scalar.string) {
                return PolicyNode(value: .null, line: line)
            }
            return PolicyNode(value: .text(scalar.string, isQuoted: !isPlain), line: line)
        case .sequence(let items):
            var nodes: [PolicyNode] = []
            for item in items { nodes.append(try convert(item, path, &budget)) }
            return PolicyNode(value: .list(nodes), line: line)
        case .mapping(let pairs):
            var entries: [Entry] = []
            for (key, value) in pairs {
                guard case .scalar(let name) = key else {
                    throw CommandFailure(.data, "\(path):\(line): a name must be plain text")
                }
                entries.append(
                    Entry(
                        name: name.string, line: key.mark?.line ?? line,
                        node: try convert(value, path, &budget)))
            }
            return PolicyNode(value: .map(entries), line: line)
        case .alias:
            throw CommandFailure(.data, "\(path):\(line): an alias without its anchor")
        }
    }

    private static func explain(_ error: YamlError, _ path: String) -> String {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            "\(path):\(mark.line):\(mark.column): \(problem)"
        case .duplicatedKeysInMapping(let names, let context):
            "\(path):\(context.mark.line): two entries for "
                + "\(names.sorted().map { "\"\($0)\"" }.joined(separator: ", ")): keep one"
        case .reader(let problem, _, _, _): "\(path): \(problem)"
        default: "\(path) is no YAML: \(error)"
        }
    }
}

extension PolicyNode {
    var isNull: Bool { if case .null = value { true } else { false } }
    var text: String? { if case .text(let text, _) = value { text } else { nil } }
    var list: [PolicyNode]? { if case .list(let items) = value { items } else { nil } }
    var map: [Entry]? { if case .map(let entries) = value { entries } else { nil } }

    /// As JSON: what is not quoted and reads as a number, true or false becomes that.
    var json: JSON {
        switch value {
        case .null: .null
        case .text(let text, let isQuoted): isQuoted ? .string(text) : PolicyNode.plain(text)
        case .list(let items): .array(items.map(\.json))
        case .map(let entries): .object(entries.map { JSON.Member($0.name, $0.node.json) })
        }
    }
    private static func plain(_ text: String) -> JSON {
        switch text {
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: break
        }
        let digits = text.hasPrefix("-") ? text.dropFirst() : Substring(text)
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        let isNumber =
            parts.count <= 2
            && parts.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { $0 >= 48 && $0 <= 57 } }
            && (parts[0].count == 1 || !parts[0].hasPrefix("0"))
        return isNumber ? .number(text) : .string(text)
    }
}

/// Writes JSON as YAML that reads back as the same: block style, names as they come, texts quoted only
/// where they would read as something else.
struct PolicyWriter {
    private(set) var text = ""

    mutating func comment(_ line: String) { text += "# \(line)\n" }
    mutating func blank() { text += "\n" }

    mutating func write(_ members: [JSON.Member], indent: Int = 0) {
        for member in members {
            text += String(repeating: "  ", count: indent) + Self.name(member.name) + ":"
            switch member.value {
            case .object(let inner) where !inner.isEmpty:
                text += "\n"
                write(inner, indent: indent + 1)
            case .array(let items) where items.contains { $0.members != nil }:
                text += "\n"
                for item in items { write(item: item, indent: indent + 1) }
            default: text += " " + Self.flow(member.value) + "\n"
            }
        }
    }
    private mutating func write(item: JSON, indent: Int) {
        let dash = String(repeating: "  ", count: indent) + "- "
        guard case .object(let members) = item, let first = members.first else {
            text += dash + Self.flow(item) + "\n"
            return
        }
        var inner = PolicyWriter()
        inner.write([first], indent: indent + 1)
        text += dash + inner.text.dropFirst(dash.count)
        write(Array(members.dropFirst()), indent: indent + 1)
    }

    private static func flow(_ value: JSON) -> String {
        switch value {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .number(let text): text
        case .string(let text): scalar(text)
        case .array(let items): "[" + items.map(flow).joined(separator: ", ") + "]"
        case .object(let members):
            "{" + members.map { name($0.name) + ": " + flow($0.value) }.joined(separator: ", ")
                + "}"
        }
    }
    private static func name(_ text: String) -> String { isPlain(text) ? text : quoted(text) }
    private static func scalar(_ text: String) -> String { isPlain(text) ? text : quoted(text) }
    private static func quoted(_ text: String) -> String {
        var buffer = ByteBuffer()
        // A JSON string is a YAML double-quoted one.
        buffer.append(quoted: text)
        return buffer.string
    }
    /// Words that no YAML reader takes for a number, a date, a truth value or an indicator.
    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.utf8.first,
            first >= 97 && first <= 122 || first >= 65 && first <= 90,
            text.utf8.allSatisfy({
                $0 >= 97 && $0 <= 122 || $0 >= 65 && $0 <= 90 || $0 >= 48 && $0 <= 57
                    || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
                    || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: ".")
            })
        else { return false }
        return !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(
            text.lowercased())
    }
}
