import ArgumentParser

/// The rig that breaks disks and daemons and looks whether anything was lost.
@main struct Faults: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tollgate-faults",
        abstract:
            "Cut the power, break the disk, fill it, kill the daemon: and count what is lost.",
        discussion: """
            Ends with 0 when nothing was lost. Each command prints the seed it ran with;
            --seed runs it again. TOLLGATE_BINARY names the daemon, which is otherwise the
            one beside this program.
            """,
        subcommands: [
            PowerCut.self, FailingDisk.self, FullDisk.self, BitFlips.self, Kills.self, Reopen.self,
        ])
}
