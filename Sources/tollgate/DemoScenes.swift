import Events

/// Questions that the demo asks one by one, so that a person sees line and answer.
struct DemoScenes {
    private let client: Client
    private let style = Style.output
    /// Lines and answers are broken at this column.
    private static let columns = 96

    init(_ client: Client) { self.client = client }

    /// One request from its question to its charge.
    func oneRequest() throws(CommandFailure) {
        let id = "demo-\(String(UInt64.random(in: 0..<(1 << 40)), radix: 36))"
        let question = "RESERVE acme/ml-platform/prod gpt-4.1 in=1200 out=400 id=\(id)"
        let answer = try ask("May this call proceed? It may cost $0.0192 at most.", question)
        let words = answer.split(separator: " ")
        guard words.count > 1, words[0] == "ALLOW" else { return }
        let hold = words[1]
        try ask("The same question again, as after a lost reply: the same hold.", question)
        try ask(
            "The answer had 250 tokens: the hold becomes a charge.",
            "SETTLE \(hold) in=1200 out=250")
        try ask("Settled twice with other numbers: no.", "SETTLE \(hold) in=1200 out=9000")
    }

    /// Refusals and errors of different kinds; each names what is wrong.
    func refusals() throws(CommandFailure) {
        let questions: [(String, String)] = [
            (
                "A key that nobody created.",
                "RESERVE acme/ml-platform/staging \(DemoLedger.gpt) in=900 out=300"
            ),
            (
                "A model that is no alias.",
                "RESERVE acme/ml-platform/prod gpt-5-mini in=900 out=300"
            ),
            (
                "A model without a price is not free of charge.",
                "RESERVE acme/ml-platform/prod openai/gpt-9 in=900 out=300"
            ),
            (
                "A model outside the team's list.",
                "RESERVE acme/internal-tools/prod \(DemoLedger.gpt) in=900 out=300"
            ),
            (
                "A key with $0.05 a day, most of it spent.",
                "RESERVE acme/internal-tools/dev deepseek-v3.2 in=90000 out=8000"
            ),
            (
                "One request more than the last minute has room for.",
                "RESERVE acme/research/prod gemini-2.5-flash in=900 out=300"
            ),
            (
                "Fewer tokens than none.",
                "RESERVE acme/ml-platform/prod gpt-4.1 in=-5 out=300"
            ),
        ]
        for (caption, question) in questions { try ask(caption, question) }
        try ask(
            "An admin gives a key more than its team has: all that is wrong in one answer.",
            "APPEND limits.set "
                + #"{"account":"acme/research/dev","#
                + #""limits":{"usd.day":"900","requests.minute":5000}}"#)
    }

    @discardableResult
    private func ask(_ caption: String, _ line: String) throws(CommandFailure) -> String {
        // A payload may hold spaces; nothing else here does.
        let words = line.split(separator: " ", maxSplits: line.hasPrefix("APPEND") ? 2 : .max)
        let reply = try client.call(words.map(String.init))
        let answer: String
        let ink: Style.Ink
        switch reply {
        case .error(let code, let text): (answer, ink) = ("-\(code) \(text)", .red)
        default:
            answer = "+\(reply.text ?? "")"
            ink = answer.hasPrefix("+DENY") ? .yellow : .green
        }
        Console.print("  " + style.paint(caption, .dim))
        for (i, part) in Self.wrapped(line).enumerated() {
            Console.print((i == 0 ? "    > " : "        ") + part)
        }
        for (i, part) in Self.wrapped(answer).enumerated() {
            Console.print((i == 0 ? "    < " : "        ") + style.paint(part, ink))
        }
        return String(answer.dropFirst())
    }

    /// Breaks a line at spaces.
    private static func wrapped(_ text: String) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in Table.inOneLine(text).split(separator: " ") {
            if !line.isEmpty, line.count + word.count + 9 > columns {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        return lines + [line]
    }
}
