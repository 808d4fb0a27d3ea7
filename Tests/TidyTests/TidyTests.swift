import Testing

/// The repository as it is.
@Suite struct `The repository` {
    @Test func `is found from this file`() {
        #expect(Repository.paths.contains("Package.swift"))
        // Or the checks below would pass for want of anything to check.
        let modules = Set(Repository.sources.compactMap(\.module))
        #expect(modules == Set(Arrows.allowed.keys), "each module has a row in Arrows, and files")
    }
    @Test func `imports along the arrows only`() {
        expectNone(Repository.sources.flatMap(Arrows.findings))
    }
    @Test func `has no clock and no chance in its core`() {
        expectNone(Repository.sources.flatMap { Determinism.findings(in: $0) })
    }
    @Test func `walks over nothing unordered in the ledger`() {
        expectNone(Determinism.findings(in: Repository.sources))
    }
    @Test func `has short sources without leftovers`() {
        expectNone(Repository.sources.flatMap(Hygiene.findings))
    }
    @Test func `names no directory of anybody's machine`() {
        expectNone(Repository.texts.flatMap(MachinePaths.findings))
    }
    @Test func `has the agreed top level`() {
        expectNone(TopLevel.findings(in: Repository.paths))
    }

    private func expectNone(
        _ findings: [Finding], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for finding in findings {
            Issue.record("\(finding)", sourceLocation: sourceLocation)
        }
    }
}

/// What the checks above find in files planted to be wrong.
@Suite struct `The checks` {
    @Test(arguments: [
        ("Ledger", "import Glibc", "Glibc"),
        ("Events", "import Ledger", "Ledger"),
        ("Ledger", "package import Wire", "Wire"),
        ("Ledger", "internal import Foundation", "Foundation"),
        ("Wire", "import struct Foundation.Data", "Foundation"),
        ("Wire", "@preconcurrency import FoundationEssentials", "FoundationEssentials"),
        ("Journal", "@_exported import Ledger", "Ledger"),
        ("Gate", "import Events; import Foundation", "Foundation"),
        ("Gate", "@_spi(Testing) import CLMDB", "CLMDB"),
        ("Gate", "#if canImport(Foundation)\n    import Foundation\n#endif", "Foundation"),
        ("Gate", "/* why */ import tollgate", "tollgate"),
        ("tollgate", "import Crypto", "Crypto"),
    ])
    func `find an arrow that points outward`(module: String, text: String, imported: String) {
        let file = TextFile(path: "Sources/\(module)/A/B.swift", text: "// One.\n" + text + "\n")
        let found = Arrows.findings(in: file)
        #expect(found.map(\.what) == ["\(module) must not import \(imported)"])
        #expect(found.allSatisfy { $0.line >= 2 })
    }
    @Test(arguments: [
        (
            "Events",
            "// import Foundation\n/* import Foundation /* import Foundation */\n import A */"
        ),
        ("Events", "let a = \"\"\"\n    import Foundation\n    \"\"\"\nlet important = 1"),
        ("Events", "let a = #\"x\\\"# + \"\\(f(\"\\\"\"))\"; let b = \"; import Foundation\""),
        ("Ledger", "package import Events"),
        ("Gate", "import CLinux\nimport Crypto\nimport Events\nimport Journal\nimport Ledger"),
        ("tollgate", "import Foundation\nimport Gate"),
    ])
    func `let a right arrow and mere words pass`(module: String, text: String) {
        let file = TextFile(path: "Sources/\(module)/A.swift", text: text)
        #expect(Arrows.findings(in: file) == [])
    }
    @Test func `find a module without a row`() {
        let file = TextFile(path: "Sources/Utilities/A.swift", text: "let a = 1\n")
        #expect(Arrows.findings(in: file).map(\.what) == ["module Utilities has no row in Arrows"])
    }

    @Test(arguments: [
        ("clock_gettime(CLOCK_REALTIME, &now)", 1), ("let a = ContinuousClock().now", 1),
        ("let a = UInt64.random(in: 0..<9, using: &dice)", 1), ("ids.shuffled()", 1),
        ("let slot = key.hashValue & mask", 1), ("Task { await settle() }", 1),
        ("let a = \"random\"  // a Task for getenv", 0), ("hash(into: &hasher)", 0),
    ])
    func `find a clock and chance`(text: String, count: Int) {
        for module in ["Events", "Ledger", "Wire"] {
            let file = TextFile(path: "Sources/\(module)/A.swift", text: text)
            #expect(Determinism.findings(in: file).count == count)
        }
        let outside = TextFile(path: "Sources/Gate/A.swift", text: text)
        #expect(Determinism.findings(in: outside) == [])
    }
    @Test(arguments: [
        "var slots: [KeyID: Slot]",
        "var slots = [KeyID: [Slot]]()",
        "var slots: [Model.Name: (Int, Int)] = [:]",
        "slots = [:]",
        "let seen: Set<UInt64>",
        "var seen = Set([1, 2])",
        "let byName: [String?: UInt32]",
        "let byKey = Dictionary(uniqueKeysWithValues: pairs)",
        "var slots: [KeyID: Slot]  // ordered, I believe",
        "var slots: [KeyID: Slot]\n// unordered: never iterated",
        "let text = \"// unordered: iterated\"; var seen: Set<Int>",
    ])
    func `find the unordered in the ledger`(text: String) {
        let found = Determinism.findings(in: [TextFile(path: "Sources/Ledger/A.swift", text: text)])
        #expect(found.map(\.line) == [1])
        let elsewhere = TextFile(path: "Sources/Gate/A.swift", text: text)
        #expect(Determinism.findings(in: [elsewhere]) == [])
    }
    @Test(arguments: [
        "var slots: [KeyID: Slot] = [:]  // unordered: never iterated",
        "// unordered: never iterated\nvar slots: [KeyID: Slot] = [:]\nlet a = slots[key]",
        "let row = rows[at: 3]; let rows: [Slot]; a ? [B] : [C]",
        "Settings(a: 1); let x: ClosedSet",
        "// A Set<Int> would be wrong here.",
        "var ids: [A: B]  // unordered: never iterated\nfor id in ids.keys.sorted() { use(id) }",
        "var ids: [A: B]  // unordered: never iterated\nfor holds in ids[key] { use(holds) }",
    ])
    func `let the excused and the ordered pass`(text: String) {
        let file = TextFile(path: "Sources/Ledger/A.swift", text: text)
        #expect(Determinism.findings(in: [file]) == [])
    }
    @Test(arguments: [
        "for (key, slot) in slots { sum += slot }",
        "for slot in self.slots where slot.isOpen {}",
        "for slot in slots.values {}",
        "let all = book.slots.map { $0 }",
        "slots.values.sorted()",
        "slots.first",
    ])
    func `find a walk over the excused`(text: String) {
        let files = [
            TextFile(
                path: "Sources/Ledger/A.swift",
                text: "var slots: [KeyID: Slot]  // unordered: never iterated\n"),
            TextFile(path: "Sources/Ledger/B.swift", text: "\n" + text),
        ]
        let places = Determinism.findings(in: files).map { "\($0.path):\($0.line)" }
        #expect(places == ["Sources/Ledger/B.swift:2"])
    }

    @Test(arguments: [(700, 0), (701, 1)])
    func `find a source that is too long`(lines: Int, findings: Int) {
        let text = String(repeating: "\n", count: lines)
        let file = TextFile(path: "Sources/CLinux/a.c", text: text)
        #expect(Hygiene.findings(in: file).count == findings)
    }
    @Test func `find leftovers`() {
        let text = "let a = 1\n// TODO: more\nlet FIXMEs = 2\n/* FIXME */\n"
        let file = TextFile(path: "Sources/Wire/A.swift", text: text)
        #expect(Hygiene.findings(in: file).map(\.line) == [2, 4])
    }
    @Test func `find a machine's directories`() {
        let planted = ["root", "home", "work"].map { "/\($0)/x" }
        for path in planted {
            for before in ["", "cd ", "\"", "a:", "file://", "="] {
                let file = TextFile(path: "README.md", text: "one\n" + before + path)
                #expect(MachinePaths.findings(in: file).map(\.line) == [2], "\(before)\(path)")
            }
            for before in ["$HOME", "example.com", "${cache}", "~"] {
                let file = TextFile(path: "README.md", text: before + path)
                #expect(MachinePaths.findings(in: file) == [], "\(before)\(path)")
            }
        }
    }
    @Test func `find an entry too many at the top`() {
        let paths = [
            ".ci/run", ".gitignore", "LICENSE", "Package.swift", "Sources/Wire/A.swift",
            "docs/a.md", "docs/b.md", "notes.txt",
        ]
        #expect(TopLevel.findings(in: paths).map(\.path) == ["docs", "notes.txt"])
    }
}
