import ArgumentParser
import Events
import Glibc

/// The one executable: `serve` runs the daemon, every other verb is a client of its socket.
@main
struct Tollgate: ParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "tollgate",
        abstract: "An event-sourced quota ledger for LLM API traffic.",
        discussion: """
            A relay asks before every upstream call whether it may proceed, and settles
            after it; every answer, key, price and charge is one event in one ordered log.

            A first minute:
              tollgate serve &
              tollgate org create acme --limit usd.month=5000
              tollgate team create acme/ml --limit usd.day=500 --limit requests.minute=1200
              tollgate key create acme/ml/prod
              tollgate price set openai/gpt-4.1 --in 2 --out 8
              tollgate call RESERVE acme/ml/prod openai/gpt-4.1 in=1200 out=400
              tollgate usage acme --tree

            Where the daemon is: --socket, --data or --tcp, then TOLLGATE_SOCKET,
            TOLLGATE_DATA or TOLLGATE_TCP, then the config file, then
            ./.tollgate/tollgate.sock. Data goes to stdout, everything else to stderr;
            NO_COLOR is respected.

            \(ExitStatus.help)
            """,
        version: version,
        subcommands: [
            Serve.self, Call.self, Status.self, Doctor.self, BackupCommand.self,
            RestoreCommand.self,
            Org.self, Team.self, Key.self,
            Apply.self, Export.self,
            Limits.self, Permissions.self, Override.self, CreditCommand.self, Price.self,
            Alias.self, Route.self, Operator.self,
            Usage.self, ReportCommand.self, Explain.self, EventLog.self, Monitor.self, Top.self,
            AuditCommand.self, Reindex.self, Load.self, Demo.self, Bench.self,
        ]
    )

    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
            Console.flush()
        } catch let failure as CommandFailure {
            Console.error(failure.message)
            Glibc.exit(failure.status.rawValue)
        } catch {
            Console.flush()
            exit(withError: error)
        }
    }
}
