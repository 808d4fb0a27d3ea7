import ArgumentParser
import Audit
import Events
import Glibc
import Journal

/// `tollgate restore`
struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Make a data directory of a backup.",
        discussion: """
            Example:
              tollgate restore /backup/tollgate-2026-11-26 /var/lib/tollgate
              tollgate serve --data /var/lib/tollgate --from-backup

            DIR must be empty or not there yet. Every byte is compared with what was backed
            up, and the whole copy is opened and read. As root, what is restored into a
            directory that is there belongs to the directory's owner.

            What the original answered after the backup is not in it. 'tollgate serve'
            refuses the directory until --from-backup says that the original has stopped for
            good: then it begins an epoch that no hold's name of the original can meet, and
            signs with a new key under a new origin. A SETTLE for a hold that is lost is
            charged when it names its key and model.
            """
    )
    @Argument(help: ArgumentHelp("What 'tollgate backup' has made.", valueName: "backup"))
    var backup: String
    @Argument(help: ArgumentHelp("The new data directory.", valueName: "dir"))
    var target: String
    @OptionGroup var format: FormatOptions

    func run() throws {
        let request = Restore.Request(
            backup: CopyWork.withoutSlash(backup), target: CopyWork.withoutSlash(target))
        try CopyWork.checkReadable(
            request.backup, holding: BackupMarker.fileName,
            missing: "name a directory that 'tollgate backup' has made and that came to its end")
        let marker = try CopyWork.run("restore") { watch throws(JournalError) in
            try Restore.run(request, watch)
        }
        guard !format.json else { return marker.summary(at: request.target).print() }
        Console.print(
            "\(request.target) holds ledger \(marker.ledger) up to seq \(marker.seq), and reads whole"
        )
        marker.facts.print()
        Console.note(
            "When the original has stopped for good: tollgate serve --data \(request.target) --from-backup"
        )
    }
}
