/// How one daemon runs; what the command line, the environment and the config file fill in.
package struct DaemonOptions: Sendable {
    /// Journal, ring, checkpoints, lock; created with mode 0700.
    package var dataDirectory: String
    /// The Unix socket, mode 0660; nil means `tollgate.sock` in the data directory.
    package var socketPath: String?
    /// Listen on TCP too, where every client must AUTH; nil does not.
    package var tcpHost: String?
    package var tcpPort: UInt16?
    /// Size of the ring in MiB: what may be staged and not yet on disk.
    package var ringMebibytes = 64
    /// Address space of the journal's map in GiB; no disk is taken before it is used.
    package var mapGibibytes = 1_024
    /// Reserves are refused while less of the disk is free, in MiB.
    package var pauseBelowMebibytes = 64
    /// How long a commit that nobody waits for may wait for company, in microseconds.
    package var lingerMicroseconds = 2_000
    /// Most connections at a time.
    package var connectionsMax = 10_000
    /// Most requests of one team that may wait for room; a further one is refused at once.
    package var waitingMax = 1_000
    /// Events between two checkpoints.
    package var checkpointEvents = 1_000_000
    /// How long an unfinished request, or a client that does not read, is waited for, in seconds.
    package var idleLineSeconds = 30
    /// How long a connection may stay without having authenticated, in seconds.
    package var authSeconds = 10
    /// How long the loop looks for the next request before it sleeps, in microseconds; 0 sleeps at once.
    package var spinMicroseconds = 0
    /// Whether the directory, restored from a backup, is to go on as the ledger.
    package var goesOnFromBackup = false
    /// Threads that serve what scans the log.
    package var readers = 2
    /// Whether the roll-ups are made from the whole log again, whatever their table holds.
    package var makesRollupsAnew = false

    package init(dataDirectory: String) { self.dataDirectory = dataDirectory }

    /// Most connections without a role: strangers must not take everybody's place.
    var strangersMax: Int { min(connectionsMax, max(16, connectionsMax / 4)) }
    package var effectiveSocketPath: String { socketPath ?? dataDirectory + "/tollgate.sock" }
}

/// Why a daemon could not start, or ended badly: a sysexits code and a sentence that names the fix.
package struct DaemonFailure: Error, Sendable {
    package var exitCode: Int32
    package var message: String
    package init(exitCode: Int32, message: String) {
        self.exitCode = exitCode
        self.message = message
    }
    package static func dataError(_ message: String) -> DaemonFailure {
        DaemonFailure(exitCode: 65, message: message)
    }
    package static func unavailable(_ message: String) -> DaemonFailure {
        DaemonFailure(exitCode: 69, message: message)
    }
    package static func software(_ message: String) -> DaemonFailure {
        DaemonFailure(exitCode: 70, message: message)
    }
    package static func io(_ message: String) -> DaemonFailure {
        DaemonFailure(exitCode: 74, message: message)
    }
    package static func config(_ message: String) -> DaemonFailure {
        DaemonFailure(exitCode: 78, message: message)
    }
}

/// Every bound of the gate, in one place; `checkRelations` runs at start and in a test.
enum GateLimits {
    /// What one turn reads from one connection, in bytes: fairness between connections.
    static let readBytes = 64 << 10
    /// A connection with more answers than this waiting is not read until they have left.
    static let outputBytesMax = 1 << 20
    /// It is read again below this.
    static let outputBytesResume = 256 << 10
    /// Answers that wait in all connections together; past it each is held to `outputBytesScarce`.
    static let outputTotalMax = 256 << 20
    static let outputBytesScarce = 16 << 10
    /// Then who takes nothing for so long is closed.
    static let scarcePatienceNanoseconds: Int64 = 1_000_000_000
    /// A TCP peer that is gone without a word is found so: probed after a silence of so many seconds,
    /// so often, so many seconds apart; and given up when what was sent is not confirmed in all that
    /// time.
    static let probeAfterSeconds: Int32 = 60
    static let probes: Int32 = 4
    static let probeEverySeconds: Int32 = 15
    /// The most that one command may append to the log: its own event, an org's windows, and the
    /// sum of a flood.
    static let commandEventBytesMax = 72 << 10
    /// Lapses that one turn writes, and the bytes they may take.
    static let lapsesMax = 4_096
    static let lapseBytes = 80
    /// Wrong passwords on one connection before it is closed.
    static let wrongPasswordsMax = 5
    /// How long a drain waits for clients to take their answers, in milliseconds.
    static let drainMilliseconds = 5_000
    /// Orgs of whose people one ERASE erases a text.
    static let eraseOrgsMax = 64
    /// The largest answer to EVENTS, in bytes; the rest is paged.
    static let eventsAnswerBytesMax = 8 << 20
    /// What a reader fetches at a time for one that follows the log, in bytes; an event that is begun is
    /// whole. More is fetched when less than `tailBytesResume` waits.
    static let tailBytes = 64 << 10
    static let tailBytesResume = 32 << 10
    /// What such a batch is reckoned with before it is there.
    static let tailAnswerBytes = 128 << 10
    /// Events that are looked through for one batch.
    static let tailEventsMax = 16_384
    /// Who has seen all there is, is served no more often than this, and than this for each that follows.
    static let tailRoundNanoseconds: Int64 = 10_000_000
    static let tailShareNanoseconds: Int64 = 100_000
    /// A drain waits for those that follow no further behind than this.
    static let tailDrainEvents: UInt64 = 4_096
    /// Events that one answer to EXPLAIN looks through: a second or so of one reader.
    static let lifeEventsMax: UInt64 = 4 << 20

    static func checkRelations(ringBytes: Int) {
        precondition(outputBytesResume < outputBytesMax)
        precondition(outputBytesScarce < outputBytesResume)
        precondition(tailBytesResume + tailAnswerBytes < outputBytesMax)
        precondition(outputTotalMax >= 4 * eventsAnswerBytesMax, "readers must get on")
        precondition(
            ringBytes >= 2 * (commandEventBytesMax + lapsesMax * lapseBytes)
                || ringBytes >= 1 << 20,
            "a turn's events must fit the ring")
    }
}
