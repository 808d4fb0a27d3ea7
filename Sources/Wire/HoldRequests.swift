import Events

// The requests of the hot path: what RESERVE, CHECK, EXTEND, SETTLE, RELEASE and CHARGE ask.
// Everything they borrow points into the parser's arguments.

extension ReserveRequest {
    /// Reads `RESERVE` or `CHECK`.
    ///
    /// - Parameters:
    ///   - verb: which of the two; it stands in the error texts.
    ///   - acknowledgement: set to what `ack=` asks for, else to `ring`: a hold that a power cut
    ///     takes away has cost nobody anything yet.
    /// - Throws: a failure that names the field and the syntax.
    package init(
        _ arguments: Arguments, verb: Verb = .reserve, acknowledgement: inout Acknowledgement
    ) throws(Failure) {
        self.init()
        try read(arguments, verb: verb, acknowledgement: &acknowledgement)
    }
    /// The same into a fresh request where it stands: 200 bytes that are not copied once more.
    package mutating func read(
        _ arguments: Arguments, verb: Verb, acknowledgement: inout Acknowledgement
    ) throws(Failure) {
        acknowledgement = .ring
        try arguments.checkCount(verb)
        key = Arguments.key(arguments[1])
        model = try Arguments.model(arguments[2])
        var fields = FieldCursor(arguments, of: verb, from: 3)
        while let field = try fields.next() {
            switch field {
            case .input: input = try fields.tokens()
            case .bytes: bytes = try fields.tokens()
            case .output: output = try fields.tokens()
            case .scope: scope = try fields.text()
            case .tier: tier = try fields.serviceTier()
            case .ttl: ttl = try fields.number(1...Bounds.holdSecondsMax)
            case .ack: acknowledgement = try fields.acknowledgement()
            case .temperature, .batch, .priority, .prompt, .capability:
                try hints.read(field, from: &fields)
            // Who only checks has nothing to wait for; EXPLAIN takes RESERVE's words as they are.
            case .wait where verb != .check:
                wait = try fields.number(1...WireLimits.waitMillisecondsMax)
            case .prio where verb != .check: priority = UInt8(try fields.number(1...10))
            default: try text.read(field, from: &fields)
            }
        }
        if wait == 0, fields.has(.prio) {
            throw fields.failure("prio= orders those that wait: say how long with wait=, too")
        }
    }
}

extension ExtendRequest {
    /// Reads `EXTEND`; `acknowledgement` becomes what `ack=` asks for, else `ring`.
    package init(
        _ arguments: Arguments, acknowledgement: inout Acknowledgement
    ) throws(Failure) {
        self.init()
        acknowledgement = .ring
        try arguments.checkCount(.extend)
        hold = try Arguments.hold(arguments[1])
        var fields = FieldCursor(arguments, of: .extend, from: 2)
        while let field = try fields.next() {
            switch field {
            case .output: output = try fields.tokens()
            case .input: input = try fields.tokens()
            case .ttl: ttl = try fields.number(1...Bounds.holdSecondsMax)
            case .ack: acknowledgement = try fields.acknowledgement()
            default: throw fields.unknown()
            }
        }
        try fields.require(.output)
    }
}

extension SettleRequest {
    /// Reads `SETTLE`; `acknowledgement` becomes what `ack=` asks for, else `disk`.
    package init(
        _ arguments: Arguments, acknowledgement: inout Acknowledgement
    ) throws(Failure) {
        self.init()
        acknowledgement = .disk
        try arguments.checkCount(.settle)
        hold = try Arguments.hold(arguments[1])
        var fields = FieldCursor(arguments, of: .settle, from: 2)
        while let field = try fields.next() {
            switch field {
            case .tier: tier = try fields.serviceTier()
            case .outcome: outcome = try fields.outcome()
            case .milliseconds: milliseconds = try fields.milliseconds()
            case .key: key = Arguments.key(fields.value)
            case .model: model = try Arguments.model(fields.value)
            case .ack: acknowledgement = try fields.acknowledgement()
            default: try usage.read(field, from: &fields)
            }
        }
        try usage.check(fields)
    }
}

extension ReleaseRequest {
    /// Reads `RELEASE`; `acknowledgement` becomes what `ack=` asks for, else `disk`.
    package init(
        _ arguments: Arguments, acknowledgement: inout Acknowledgement
    ) throws(Failure) {
        self.init()
        acknowledgement = .disk
        try arguments.checkCount(.release)
        hold = try Arguments.hold(arguments[1])
        var fields = FieldCursor(arguments, of: .release, from: 2)
        while let field = try fields.next() {
            switch field {
            case .why: why = try fields.text(max: Bounds.longTextBytesMax)
            case .ack: acknowledgement = try fields.acknowledgement()
            default: throw fields.unknown()
            }
        }
    }
}

extension ChargeRequest {
    /// Reads `CHARGE`; `acknowledgement` becomes what `ack=` asks for, else `disk`.
    package init(
        _ arguments: Arguments, acknowledgement: inout Acknowledgement
    ) throws(Failure) {
        self.init()
        acknowledgement = .disk
        try arguments.checkCount(.charge)
        key = Arguments.key(arguments[1])
        model = try Arguments.model(arguments[2])
        var fields = FieldCursor(arguments, of: .charge, from: 3)
        while let field = try fields.next() {
            switch field {
            case .tier: tier = try fields.serviceTier()
            case .outcome: outcome = try fields.outcome()
            case .milliseconds: milliseconds = try fields.milliseconds()
            case .ack: acknowledgement = try fields.acknowledgement()
            case .input, .output, .cached, .cacheWrite, .reasoning:
                try usage.read(field, from: &fields)
            default: try text.read(field, from: &fields)
            }
        }
        try usage.check(fields)
        // Without an id a repeated charge could not be told from a second one.
        try fields.require(.id)
    }
}

extension FieldCursor {
    fileprivate mutating func milliseconds() throws(Failure) -> UInt32 {
        UInt32(try number(0...Int64(UInt32.max)))
    }
}

extension RoutingHints {
    // A call: few requests leave the model to rules.
    @inline(never)
    fileprivate mutating func read(_ field: Field, from fields: inout FieldCursor) throws(Failure) {
        switch field {
        case .temperature: temperature = try fields.temperature()
        case .batch: batch = try fields.flag()
        case .priority: priority = try fields.text()
        case .prompt: prompt = try fields.text(max: WireLimits.promptBytesMax)
        case .capability: capability = try fields.capabilities()
        default: throw fields.unknown()
        }
    }
}

extension RequestText {
    fileprivate mutating func read(_ field: Field, from fields: inout FieldCursor) throws(Failure) {
        switch field {
        case .id: id = try fields.text()
        case .user: user = try fields.text()
        case .project: project = try fields.text()
        case .environment: environment = try fields.text()
        case .address: address = try fields.text()
        case .userAgent: userAgent = try fields.text(max: Bounds.longTextBytesMax)
        default: throw fields.unknown()
        }
    }
}

extension TokenUsage {
    fileprivate mutating func read(_ field: Field, from fields: inout FieldCursor) throws(Failure) {
        switch field {
        case .input: input = try fields.tokens()
        case .output: output = try fields.tokens()
        case .cached: cached = try fields.tokens()
        case .cacheWrite: cacheWrite = try fields.tokens()
        case .reasoning: reasoning = try fields.tokens()
        default: throw fields.unknown()
        }
    }
    /// Both wholes are there and their parts fit into them.
    fileprivate func check(_ fields: borrowing FieldCursor) throws(Failure) {
        try fields.require(.input)
        try fields.require(.output)
        guard cached + cacheWrite <= input else {
            throw fields.failure(
                "cached= and cache_write= are parts of in=: together they must not exceed it")
        }
        guard reasoning <= output else {
            throw fields.failure("reasoning= is a part of out=: it must not exceed it")
        }
    }
}
