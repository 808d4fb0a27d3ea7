import Simulation
import Testing

@Suite("Simulation")
struct SimulationTests {
    @Test("a seed tells the same story twice")
    func determinism() {
        let first = Simulation.run(seed: 3, steps: 600, scratch: Simulation.scratch)
        let second = Simulation.run(seed: 3, steps: 600, scratch: Simulation.scratch)
        #expect(first.digest == second.digest)
        #expect(first.events == second.events && first.events > 50)
    }
}
