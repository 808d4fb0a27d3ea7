import Audit

/// How a run of `tollgate` ends: sysexits.h, and one code of our own for a denied request.
enum ExitStatus: Int32, CaseIterable {
    case success = 0
    /// The daemon answered with an error that has no code of its own.
    case failure = 1
    /// `call` got `+DENY`: the daemon works, and the request may not proceed.
    case denied = 3
    case usage = 64
    case data = 65
    case noInput = 66
    case unavailable = 69
    case software = 70
    case cannotCreate = 73
    case io = 74
    case tryAgain = 75
    case protocolBroken = 76
    case noPermission = 77
    case config = 78
    /// As a shell has it of a program that SIGINT ended.
    case interrupted = 130

    /// The table that the root help shows; the only place where the codes are documented.
    static let help = """
        Exit codes:
          0   done
          1   refused with an error (unknown account, wrong depth, conflict …)
          3   denied: 'call RESERVE' or 'call CHECK' was answered +DENY
          64  wrong usage of the command line
          65  the data given is wrong (a payload, a price file, a trace)
          66  an input file cannot be read
          69  no daemon answers
          70  a bug in tollgate
          73  a file or socket cannot be created
          74  reading or writing failed
          75  the daemon is paused, read-only or still loading: try again later
          76  the peer does not speak the protocol
          77  not permitted: log in with --user and TOLLGATE_SECRET, or ask an admin
          78  the configuration is wrong
          130 an export was interrupted: the message says how it goes on
        """
}

extension CommandFailure {
    init(_ failure: AuditFailure) {
        let status: ExitStatus =
            switch failure.kind {
            case .usage: .usage
            case .damaged: .data
            case .io: .io
            case .denied: .noPermission
            case .refused: .failure
            case .unavailable: .unavailable
            case .tryAgain: .tryAgain
            }
        self.init(status, failure.message)
    }
}
extension AuditFailure {
    /// What a source says that cannot reach its daemon.
    init(_ failure: CommandFailure) {
        let kind: Kind =
            switch failure.status {
            case .unavailable: .unavailable
            case .noPermission: .denied
            case .tryAgain: .tryAgain
            case .usage: .usage
            case .io: .io
            case .failure: .refused
            default: .damaged
            }
        self.init(kind, failure.message)
    }
}

/// Why a command ends early: what to tell the person, naming the fix, and the exit code.
struct CommandFailure: Error {
    var status: ExitStatus
    var message: String

    init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.message = message
    }
    /// The failure that an error reply `-CODE text` stands for.
    init(code: String, text: String) {
        switch code {
        case "NOAUTH", "NOPERM", "WRONGPASS":
            self.init(.noPermission, "\(text) (\(code))")
        case "READONLY", "TRYAGAIN", "LOADING", "UNAVAILABLE", "SLOW":
            self.init(.tryAgain, "\(text) (\(code))")
        case "ERR": self.init(.failure, text)
        default: self.init(.failure, "\(text) (\(code))")
        }
    }
}
