import Events
import Testing
import Wire

@Suite struct `Framing` {
    static let lines: [(String, [String])] = [
        ("PING\n", ["inline [PING]"]),
        ("PING\r\n", ["inline [PING]"]),
        ("  GET   acme  \r\n", ["inline [GET][acme]"]),
        ("\n\r\n \t \nPING\n", ["empty", "empty", "empty", "inline [PING]"]),
        ("12345678\n", ["inline [12345678]"]),
        ("1234567 9\n", ["inline [1234567][9]"]),
        ("12345678 1234567 \n", ["inline [12345678][1234567]"]),
        ("a\tb\u{0B}c \u{0C}d\n", ["inline [a][b\u{0B}c][d]"]),
        ("naïve ü\n", ["inline [naïve][ü]"]),
        ("PING\nECHO a\nPI", ["inline [PING]", "inline [ECHO][a]"]),
        (#"ECHO "a b" 'c d'"# + "\n", ["inline [ECHO][a b][c d]"]),
        (#"ECHO "" ''"# + "\n", ["inline [ECHO][][]"]),
        (#"ECHO "\x41\x4a\"\\\q" "# + "\n", [#"inline [ECHO][AJ"\q]"#]),
        (#"ECHO "\n\r\t\b\a" "# + "\n", ["inline [ECHO][\n\r\t\u{08}\u{07}]"]),
        (#"ECHO "\xZZ\x4""# + "\n", ["inline [ECHO][xZZx4]"]),
        (#"ECHO 'it\'s' '\n\x41'"# + "\n", [#"inline [ECHO][it's][\n\x41]"#]),
        (#"ECHO ua="curl 8" x"# + "\n", ["inline [ECHO][ua=curl 8][x]"]),
        (#"ECHO "a"b"# + "\n", ["violation Protocol error: unbalanced quotes in request"]),
        (#"ECHO 'a'"b""# + "\n", ["violation Protocol error: unbalanced quotes in request"]),
        (#"ECHO "a"# + "\n", ["violation Protocol error: unbalanced quotes in request"]),
        (#"ECHO "a\"# + "\n", ["violation Protocol error: unbalanced quotes in request"]),
        (#"ECHO 'a"# + "\r\n", ["violation Protocol error: unbalanced quotes in request"]),
        (
            "post / HTTP/1.1\r\n",
            [
                "violation Protocol error: this is not a web server: the connection is closed"
            ]
        ),
        (
            "Host: x\r\n",
            [
                "violation Protocol error: this is not a web server: the connection is closed"
            ]
        ),
        (
            "*1\r\n$4\r\nPOST\r\n",
            [
                "violation Protocol error: this is not a web server: the connection is closed"
            ]
        ),
        ("POSTS\n", ["inline [POSTS]"]),
        ("*2\r\n$4\r\nECHO\r\n$3\r\na\r\n\r\n", ["framed [ECHO][a\r\n]"]),
        ("*2\r\n$4\r\nECHO\r\n$0\r\n\r\nPING\n", ["framed [ECHO][]", "inline [PING]"]),
        ("*0\r\n*-1\r\n*-77\r\nPING\n", ["empty", "empty", "empty", "inline [PING]"]),
        ("*x\r\n", ["violation Protocol error: invalid multibulk length"]),
        ("*\r\n", ["violation Protocol error: invalid multibulk length"]),
        ("*-\r\n", ["violation Protocol error: invalid multibulk length"]),
        ("*-0\r\n", ["violation Protocol error: invalid multibulk length"]),
        ("*01\r\n", ["violation Protocol error: invalid multibulk length"]),
        ("*1\n", ["violation Protocol error: invalid multibulk length"]),
        ("*1\rx", ["violation Protocol error: invalid multibulk length"]),
        ("*2147483648\r\n", ["violation Protocol error: invalid multibulk length"]),
        ("*99999999999", ["violation Protocol error: invalid multibulk length"]),
        (
            "*65\r\n",
            [
                "violation Protocol error: invalid multibulk length: a request has at most 64 arguments"
            ]
        ),
        ("*1\r\nPING\r\n", ["violation Protocol error: expected '$', got 'P'"]),
        ("*1\r\n\u{01}", ["violation Protocol error: expected '$', got '\\x01'"]),
        ("*1\r\n$-1\r\n", ["violation Protocol error: invalid bulk length"]),
        ("*1\r\n$x\r\n", ["violation Protocol error: invalid bulk length"]),
        ("*1\r\n$4294967296\r\n", ["violation Protocol error: invalid bulk length"]),
        (
            "*1\r\n$65536\r\n",
            [
                "violation Protocol error: invalid bulk length: a request has at most 65536 bytes"
            ]
        ),
        ("*1\r\n$3\r\nPING\r\n", ["violation Protocol error: invalid bulk length"]),
        ("*1\r\n$4\r\nPING\n\n", ["violation Protocol error: invalid bulk length"]),
    ]

    @Test(arguments: lines)
    func `a stream is cut as Redis cuts it`(input: String, expected: [String]) {
        #expect(transcript(Array(input.utf8)) == expected)
    }

    @Test(arguments: lines)
    func `where the stream is split changes nothing`(input: String, expected: [String]) {
        // Every prefix first, then the whole: a parser sees each length a slow client can produce.
        let bytes = Array(input.utf8)
        for chunk in 1...max(bytes.count, 1) {
            var parser = RequestParser()
            var lines: [String] = []
            var searched = 0
            bytes.withUnsafeBytes { raw in
                let all = Bytes(raw)
                var at = 0
                var have = 0
                while have < all.count {
                    have = min(have + chunk, all.count)
                    var closed = false
                    while at < have, !closed {
                        let n = describe(&parser, all.slice(at, have), &searched, &lines)
                        guard let n else {
                            closed = lines.last?.hasPrefix("violation") == true
                            break
                        }
                        at += n
                    }
                    if closed { return }
                }
            }
            #expect(lines == expected, "in chunks of \(chunk)")
        }
    }

    @Test func `sixty-four arguments are taken and one more is not`() {
        let words = (0..<64).map { "a\($0)" }
        #expect(
            transcript(Array((words.joined(separator: " ") + "\n").utf8)).first?.hasPrefix("inline")
                == true)
        let quoted = words.map { "'\($0)'" }
        for line in [words + ["b"], quoted + ["b"]] {
            #expect(
                transcript(Array((line.joined(separator: " ") + "\n").utf8)) == [
                    "violation Protocol error: too big inline request: "
                        + "a line has at most 64 arguments"
                ])
        }
        let framed = "*64\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
        #expect(transcript(Array(framed.utf8)).first?.hasPrefix("framed") == true)
    }

    @Test func `a line of 65536 bytes is taken and one byte more is not`() {
        let fits = Array(repeating: UInt8(ascii: "a"), count: WireLimits.requestBytesMax)
        #expect(transcript(fits + [0x0A]).first?.hasPrefix("inline") == true)
        #expect(transcript(fits) == [])
        let over =
            "violation Protocol error: too big inline request: a line has at most 65536 bytes"
        #expect(transcript(fits + [0x61]) == [over])
        #expect(transcript(fits + [0x61, 0x0A]) == [over])
    }

    @Test func `a framed request of 65536 bytes is taken and one byte more is not`() {
        func request(_ total: Int) -> [UInt8] {
            let head = "*1\r\n$65520\r\n".utf8.count
            let text = total - head - 2
            return Array("*1\r\n$\(text)\r\n".utf8) + Array(repeating: 0x61, count: text) + [
                13, 10,
            ]
        }
        #expect(transcript(request(65_536)).first?.hasPrefix("framed") == true)
        #expect(transcript(request(65_537)).first?.hasPrefix("violation") == true)
    }

    @Test func `a line in drops is searched once`() {
        // 60,000 looks at a growing line: quadratic searching would touch 1.8 GB and be felt.
        let line = Array(repeating: UInt8(ascii: "a"), count: 60_000) + [0x0A]
        var parser = RequestParser()
        var searched = 0
        line.withUnsafeBytes { raw in
            let all = Bytes(raw)
            for have in 1..<all.count {
                guard case .incomplete = parser.next(all.slice(0, have), searched: &searched) else {
                    Issue.record("a command at \(have)")
                    return
                }
                #expect(searched == have)
            }
            guard case .command(let n, _) = parser.next(all, searched: &searched) else {
                Issue.record("no command")
                return
            }
            #expect(n == all.count && searched == 0)
        }
    }

    @Test(arguments: 0..<64 as Range<UInt64>)
    func `garbage never crashes and always gets on`(seed: UInt64) {
        var random = Seeded(state: seed)
        let alphabet = Array("*$0123456789-\r\n \"'\\x aPING=tg_\0\u{7F}\u{FF}".utf8)
        for _ in 0..<200 {
            let n = Int.random(in: 0..<120, using: &random)
            let input = (0..<n).map { _ in
                Bool.random(using: &random)
                    ? alphabet.randomElement(using: &random)!
                    : UInt8.random(in: 0...255, using: &random)
            }
            var parser = RequestParser()
            input.withUnsafeBytes { raw in
                let all = Bytes(raw)
                var at = 0
                var lines: [String] = []
                while at < all.count, let n = describe(&parser, all.slice(at, all.count), &lines) {
                    #expect(n > 0 && n <= all.count - at, "seed \(seed)")
                    guard n > 0 else { return }
                    at += n
                }
            }
        }
    }

    @Test func `the numbers fit one another`() { WireLimits.checkRelations() }

    @Test func `verbs are known in any case and nothing else is`() {
        for verb in Verb.allCases {
            let name = "\(verb.name)"
            for text in [name, name.lowercased(), name.prefix(1) + name.dropFirst().lowercased()] {
                #expect(String(text).withBytes { Verb($0) } == verb)
            }
            for text in [name + "X", String(name.dropLast()), "X" + name.dropFirst()] {
                #expect(text.withBytes { Verb($0) } == nil, "\(text)")
            }
        }
        for text in ["", "A", "TAILS", "EXTENDS", "EXPLAINS", "GET\0", "SETTLERS"] {
            #expect(text.withBytes { Verb($0) } == nil)
        }
    }
}
