import Events

/// Every cap and default of the line protocol, in one place.
///
/// What a limit of the ledger is (tokens, texts, a hold's life) stands in `Bounds`, because events
/// must obey it too; what only the wire knows stands here.
package enum WireLimits {
    /// Longest inline line without its end, and longest whole RESP request with its framing, in
    /// bytes. Far below Redis's 512 MiB: the longest honest request is an `APPEND` of a few KiB,
    /// and a connection must not be able to make the gate buffer more than this for one command.
    package static let requestBytesMax = 65_536
    /// Most arguments of one request, the verb included. `RESERVE` with every field has 22.
    package static let argumentsMax = 64
    /// Longest number in a RESP header, in digits; ten hold 2³¹−1, Redis's own ceiling.
    static let headerDigitsMax = 10

    /// Longest model a request may name, in bytes; past it the request is refused as malformed
    /// text. It is above `Bounds.modelBytesMax` on purpose: the ledger answers and logs *which* odd
    /// model was asked for, and an event's text holds at most 255 bytes.
    package static let modelBytesMax = 255
    /// Longest name that `GET` and `LIST` take, in bytes: a model's is the longest there is.
    package static let nameBytesMax = 200
    /// Longest `prompt=`, in bytes. Rules look for their words in all of it, up to 256 words a policy:
    /// this keeps that near a tenth of a millisecond, and below one whatever the words are.
    package static let promptBytesMax = 512
    /// Longest name a client may give its connection, in bytes.
    package static let clientNameBytesMax = 128

    /// Most bytes of a caller's text that an error message repeats.
    package static let echoBytesMax = 64
    /// Redis's own cut for the command, and for all arguments, that `unknown command` repeats.
    static let unknownCommandEchoMax = 128

    /// Longest time that a request may wait for room, in milliseconds: five of the longest times after which
    /// a sliding minute surely has some.
    package static let waitMillisecondsMax: Int64 = 300_000

    /// Entries of one `LIST` answer when the request does not say.
    package static let listLimitDefault = 100
    package static let listLimitMax = 1_000
    /// Events of one `EVENTS` answer when the request does not say.
    package static let eventsLimitDefault = 1_000
    package static let eventsLimitMax = 10_000
    /// Events of one `LOG` answer, which ends after `logBytesMax` in any case.
    package static let logLimitMax = 65_536
    /// The bytes after which an answer to `LOG` takes no further page of the log.
    package static let logBytesMax = 1 << 20
    /// Names of one `NAMES` answer.
    package static let namesLimit = 1_000
    /// Largest sequence number a request may name; the same bound as in a hold's name.
    package static let sequenceMax: Int64 = 1 << 62 - 1

    /// What `HELLO` and `INFO` call our Redis dialect: clients choose features by it, and 7.0 is
    /// the newest that expects nothing of a server beyond the handshake we answer.
    package static let redisVersion: StaticString = "7.0.0"

    /// The relations between the numbers above; `WireTests` and the daemon's start call it.
    package static func checkRelations() {
        precondition(modelBytesMax >= Bounds.modelBytesMax && modelBytesMax <= 255)
        precondition(nameBytesMax >= Bounds.modelBytesMax)
        precondition(nameBytesMax >= 3 * Bounds.nameBytesMax + 2, "the longest path must fit")
        precondition(Bounds.longTextBytesMax <= 255 && Bounds.textBytesMax <= 255)
        precondition(listLimitDefault <= listLimitMax && eventsLimitDefault <= eventsLimitMax)
        precondition(Field.allCases.count <= 64, "the set of seen fields is 64 bits")
        precondition(
            argumentsMax > Field.allCases.count, "a request with every field must fit")
    }
}
