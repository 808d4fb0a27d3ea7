/// One text file of the repository, by its path from the root.
struct TextFile {
    var path: String
    var text: String

    /// `Ledger` for `Sources/Ledger/Windows/Day.swift`; nil for what is not a Swift source.
    var module: String? {
        let parts = path.split(separator: "/")
        guard parts.count >= 3, parts[0] == "Sources", path.hasSuffix(".swift") else { return nil }
        return String(parts[1])
    }
}

/// What is wrong, where, and so how to mend it.
struct Finding: Equatable, CustomStringConvertible {
    var path: String
    var line: Int
    var what: String

    var description: String { "\(path):\(line): \(what)" }
}

// MARK: Arrows

/// What each module may import. Arrows point inward:
/// Events ← Ledger, Wire, Journal ← Reports, Audit ← Gate ← tollgate.
enum Arrows {
    private static let ours: Set = [
        "Events", "Ledger", "Wire", "Journal", "Reports", "Audit", "Gate", "CLMDB", "CLinux",
        "CEcho",
    ]
    // Two names for one library: which one there is depends on the Linux.
    private static let libc: Set = ["Glibc", "Musl"]
    // Threads live in Journal and Gate; the modules inside have none.
    private static let system = libc.union(["Synchronization"])

    static let allowed: [String: Set<String>] = [
        // For memcmp and the like; Determinism sees to it that no clock comes along.
        "Events": libc,
        "Ledger": ["Events", "CMemory"],
        "Wire": ["Events"],
        "Journal": Set(["Events", "CLMDB", "CLinux"]).union(system),
        // The read side: of the log alone, and of what answers were derived from.
        "Reports": Set(["Events", "Journal", "CLinux"]).union(system),
        "Audit": Set(["Events", "Ledger", "Journal", "CLinux", "Crypto"]).union(system),
        "Gate": Set([
            "Ledger", "Wire", "Journal", "Reports", "Audit", "Events", "CLinux", "Crypto",
            "Logging",
        ])
        .union(system),
        // A world around the daemon; only its own executable knows it.
        "Simulation": Set([
            "Gate", "Ledger", "Journal", "Reports", "Audit", "Events", "CLinux", "Crypto",
            "Logging",
        ])
        .union(libc),
        "tollgate-simulate": Set(["Simulation", "Events", "ArgumentParser"]).union(libc),
        // The executable is the one place for Foundation, which is slow and large.
        "tollgate": Set([
            "ArgumentParser", "Configuration", "Logging", "Histogram", "Yams", "Foundation",
        ])
        .union(ours).union(system),
    ]

    static func findings(in file: TextFile) -> [Finding] {
        guard let module = file.module else { return [] }
        guard let allowed = allowed[module] else {
            let what = "module \(module) has no row in Arrows"
            return [Finding(path: file.path, line: 1, what: what)]
        }
        return imports(in: file.text).filter { !allowed.contains($0.module) }.map {
            Finding(path: file.path, line: $0.line, what: "\(module) must not import \($0.module)")
        }
    }

    private static let kinds: Set<Substring> = [
        "struct", "class", "enum", "protocol", "func", "var", "let", "typealias",
    ]

    /// Every import, whatever its access level or attributes, and of `import struct Foundation.URL`
    /// the module.
    static func imports(in text: String) -> [(module: String, line: Int)] {
        var found: [(module: String, line: Int)] = []
        for (index, line) in codeLines(text).enumerated()
        where line.contains("import") {
            for match in line.matches(of: /(?:^|[\s;)])import\s+([A-Za-z_][\w.\s]*)/) {
                let words = match.output.1.split(whereSeparator: \.isWhitespace)
                guard let path = words.first(where: { !kinds.contains($0) }) else { continue }
                found.append((String(path.prefix { $0 != "." }), index + 1))
            }
        }
        return found
    }
}

// MARK: Determinism

/// What would make two books from one log.
///
/// The order of Swift's dictionaries and sets changes from run to run. Each one in the ledger
/// therefore says that nothing walks over it, and nothing does.
enum Determinism {
    /// Clocks, chance and surroundings: the modules without a shell around them have none.
    static func findings(in file: TextFile) -> [Finding] {
        guard ["Events", "Ledger", "Wire"].contains(file.module) else { return [] }
        var findings: [Finding] = []
        for (index, code) in codeLines(file.text).enumerated() {
            for name in names(in: code) where isChance(name) {
                findings.append(
                    Finding(
                        path: file.path, line: index + 1,
                        what: "\(name) is not the same in every run"))
            }
        }
        return findings
    }
    private static let chances: Set<Substring> = [
        "clock_gettime", "gettimeofday", "getenv", "getrandom", "random", "shuffle", "shuffled",
        "hashValue", "Task",
    ]
    private static func isChance(_ name: Substring) -> Bool {
        chances.contains(name) || name.hasSuffix("Clock") || name.hasSuffix("NumberGenerator")
            || name.hasPrefix("arc4random")
    }

    static let excuse = "// unordered: never iterated"

    private static func isUnordered(_ code: Substring) -> Bool {
        if names(in: code).contains(where: { $0 == "Dictionary" || $0 == "Set" }) { return true }
        guard code.contains("["), code.contains(":") else { return false }
        return code.contains(/\[\s*:\s*\]/)
            // A type such as [KeyID: Slot]; a labelled subscript such as rows[at: 3] is none.
            || code.contains(/\[\s*(?:\[[^\]]*\]|[A-Z][\w.<>, ]*\??)\s*:\s*[\[(]*[A-Z]/)
    }

    /// Of all the ledger's files together: a dictionary declared in one may be walked in another.
    static func findings(in files: [TextFile]) -> [Finding] {
        var findings: [Finding] = []
        var excused: [String] = []
        let sources = files.filter { $0.module == "Ledger" }
        for file in sources {
            let raw = file.text.split(separator: "\n", omittingEmptySubsequences: false)
            for (index, code) in codeLines(file.text).enumerated() where isUnordered(code) {
                let isExcused =
                    raw[index].contains(excuse)
                    || (index > 0 && raw[index - 1].trimmedStart.hasPrefix(excuse))
                if !isExcused {
                    findings.append(
                        Finding(
                            path: file.path, line: index + 1,
                            what: "a dictionary or set without '\(excuse)'"))
                } else if let declaration = code.firstMatch(of: /(?:let|var)\s+(\w+)/) {
                    excused.append(String(declaration.output.1))
                }
            }
        }
        for file in sources {
            for (index, code) in codeLines(file.text).enumerated() {
                for name in excused where code.contains(name) && isWalk(over: name, code) {
                    findings.append(
                        Finding(
                            path: file.path, line: index + 1,
                            what: "walks over '\(name)', which is said never to be iterated"))
                }
            }
        }
        return findings
    }

    private static let walks: Set<Substring> = [
        "allSatisfy", "compactMap", "compactMapValues", "elementsEqual", "enumerated", "filter",
        "first", "flatMap", "forEach", "keys", "makeIterator", "map", "mapValues", "max", "min",
        "popFirst", "randomElement", "reduce", "sorted", "values",
    ]
    private static func isWalk(over name: String, _ code: Substring) -> Bool {
        // `for x in names` and `for x in self.names.…`, but not `for x in names[key]`.
        for match in code.matches(of: /\sin\s+(?:\w+\.)*(\w+)(\s*\[|\.)?/)
        where match.output.1 == name && match.output.2 == nil {
            return true
        }
        for match in code.matches(of: /(\w+)[?!]?\.(?=(\w+)(\.sorted\(\))?)/)
        where match.output.1 == name {
            // Sorted keys are in one order whatever order they came in.
            if match.output.2 == "keys", match.output.3 != nil { continue }
            if walks.contains(match.output.2) { return true }
        }
        return false
    }
}

// MARK: Size, leftovers, paths, the top level

enum Hygiene {
    static let sourceLinesMax = 700
    /// One literal each, generated and never read from top to bottom.
    static let dataFiles: Set<String> = ["Sources/tollgate/DemoTraceRows.swift"]

    static func findings(in file: TextFile) -> [Finding] {
        guard file.path.hasPrefix("Sources/") else { return [] }
        let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false)
        var findings: [Finding] = []
        // A file ends in a newline: what follows the last one is no line.
        let count = lines.last == "" ? lines.count - 1 : lines.count
        if count > sourceLinesMax, !dataFiles.contains(file.path) {
            findings.append(
                Finding(
                    path: file.path, line: count, what: "\(count) lines, over \(sourceLinesMax)"))
        }
        for (index, line) in lines.enumerated()
        where names(in: line).contains(where: { $0 == "TODO" || $0 == "FIXME" }) {
            findings.append(
                Finding(path: file.path, line: index + 1, what: "a leftover: do it or drop it"))
        }
        return findings
    }
}

enum MachinePaths {
    // In pieces, or this file would be its own finding.
    private static let directories = ["root", "home", "work"].map { "/\($0)/" }

    /// Paths that exist on somebody's machine only. `$HOME/work/` and `example.com/home/` are none.
    static func findings(in file: TextFile) -> [Finding] {
        let bytes = Array(file.text.utf8)
        var findings: [Finding] = []
        var line = 1
        for (index, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: "\n") { line += 1 }
            guard byte == UInt8(ascii: "/") else { continue }
            if index > 0 && continues(bytes[index - 1]) { continue }
            for directory in directories where bytes[index...].starts(with: directory.utf8) {
                findings.append(
                    Finding(path: file.path, line: line, what: "a machine's \(directory)"))
            }
        }
        return findings
    }
    /// Whether a slash after this byte goes on with a name rather than starting at the root.
    private static func continues(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...:
            true
        default: "._~-$}*".utf8.contains(byte)
        }
    }
}

enum TopLevel {
    static let agreed: Set = [
        "Package.swift", "Package.resolved", "Sources", "Tests", "schemas", "deploy", "README.md",
        "LICENSE",
    ]

    static func findings(in paths: [String]) -> [Finding] {
        let top = Set(paths.compactMap { $0.split(separator: "/").first.map(String.init) })
        return top.filter { !agreed.contains($0) && !$0.hasPrefix(".") }.sorted().map {
            Finding(path: $0, line: 1, what: "not among the agreed entries of the top level")
        }
    }
}

// MARK: Code without comments and strings

/// The text line by line, blank where comments and string literals stood. Code inside `\(…)` goes
/// with its string. Regex literals are left as they are: one with a lone quote would mislead this.
func codeLines(_ text: String) -> [Substring] {
    var scanner = CodeScanner(text)
    scanner.scan()
    return String(decoding: scanner.code, as: UTF8.self)
        .split(separator: "\n", omittingEmptySubsequences: false)
}

/// The identifiers and keywords of a line, in order.
private func names(in line: Substring) -> [Substring] {
    line.split { !($0.isLetter || $0.isNumber || $0 == "_") }
}

private struct CodeScanner {
    private let text: [UInt8]
    private var at = 0
    private(set) var code: [UInt8] = []

    init(_ text: String) {
        self.text = Array(text.utf8)
        code.reserveCapacity(self.text.count)
    }

    private var isAtLineEnd: Bool { text[at] == UInt8(ascii: "\n") }
    private var isAtString: Bool { text[at] == UInt8(ascii: "\"") || text[at] == UInt8(ascii: "#") }
    private func sees(_ wanted: String, at offset: Int = 0) -> Bool {
        text[min(at + offset, text.count)...].starts(with: wanted.utf8)
    }
    private mutating func keep() {
        code.append(text[at])
        at += 1
    }
    /// Passes over `count` bytes, keeping only the line breaks, so that lines keep their numbers.
    private mutating func blank(_ count: Int = 1) {
        for byte in text[at..<min(at + count, text.count)] {
            code.append(byte == UInt8(ascii: "\n") ? byte : UInt8(ascii: " "))
        }
        at += count
    }

    mutating func scan() {
        while at < text.count {
            if sees("//") {
                while at < text.count, !isAtLineEnd { blank() }
            } else if sees("/*") {
                skipBlockComment()
            } else if isAtString {
                skipString()
            } else {
                keep()
            }
        }
    }

    private mutating func skipBlockComment() {
        var depth = 0
        repeat {
            if sees("/*") {
                depth += 1
                blank(2)
            } else if sees("*/") {
                depth -= 1
                blank(2)
            } else {
                blank()
            }
        } while depth > 0 && at < text.count
    }

    /// `"…"`, `"""…"""` and both between any number of `#`. A `#` that opens no string is code.
    private mutating func skipString() {
        let pounds = String(
            repeating: "#", count: text[at...].prefix { $0 == UInt8(ascii: "#") }.count)
        guard sees("\"", at: pounds.utf8.count) else {
            for _ in pounds.utf8 { keep() }
            return
        }
        let isMultiline = sees("\"\"\"", at: pounds.utf8.count)
        let quotes = isMultiline ? "\"\"\"" : "\""
        let close = quotes + pounds
        let escape = "\\" + pounds
        blank(pounds.utf8.count + quotes.utf8.count)
        while at < text.count {
            if sees(close) {
                blank(close.utf8.count)
                return
            }
            if sees(escape + "(") {
                blank(escape.utf8.count + 1)
                skipInterpolation()
            } else if sees(escape) {
                blank(escape.utf8.count + 1)
            } else if !isMultiline, isAtLineEnd {
                return  // Not Swift; do not swallow the rest of the file.
            } else {
                blank()
            }
        }
    }

    private mutating func skipInterpolation() {
        var depth = 1
        while at < text.count, depth > 0 {
            if isAtString {
                skipString()
                continue
            }
            if text[at] == UInt8(ascii: "(") { depth += 1 }
            if text[at] == UInt8(ascii: ")") { depth -= 1 }
            blank()
        }
    }
}

extension Substring {
    fileprivate var trimmedStart: Substring { drop { $0.isWhitespace } }
}
