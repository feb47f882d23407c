//! DockerCoins' ten workers against three rng tasks that serve one request at a time, on three nodes.
//!
//! Each node picks by what it has open itself. Wanted: 30 requests a second, what three rng can serve.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use minicloud_core::balance;

const NODES: usize = 3;
const WORKERS: usize = 10;
const BACKENDS: usize = 3;
const STEP_US: u64 = 100_000;
const WARM_UP_US: u64 = 20_000_000;
const END_US: u64 = 320_000_000;

#[derive(Clone, Copy, Debug)]
enum Rule {
    Ours,
    TiesToTheFirst,
    Random,
}

/// A generator of its own, so that the outcome is the same everywhere.
struct Noise(u64);

impl Noise {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Call,
    /// The backend has answered.
    Answer(usize),
}

/// What one node knows.
#[derive(Clone, Default)]
struct View {
    open: [usize; BACKENDS],
    rotation: usize,
}

impl View {
    fn pick(&mut self, rule: Rule, noise: &mut Noise) -> usize {
        match rule {
            Rule::Ours => balance::pick(&self.open, &mut self.rotation).expect("there are backends"),
            Rule::TiesToTheFirst => (0..BACKENDS).min_by_key(|at| self.open[*at]).expect("there are backends"),
            Rule::Random => noise.below(BACKENDS as u64) as usize,
        }
    }
}

/// Requests a second, with three rng tasks.
fn rate(rule: Rule, seed: u64) -> f64 {
    let mut noise = Noise(seed);
    let mut views = vec![View::default(); NODES];
    let mut free_at = [0; BACKENDS];
    let mut answered = 0_u64;
    let mut events: BinaryHeap<_> = (0..WORKERS).map(|worker| Reverse((noise.below(STEP_US), worker, Event::Call))).collect();
    while let Some(Reverse((now, worker, event))) = events.pop() {
        if now > END_US {
            break;
        }
        let view = &mut views[worker % NODES];
        match event {
            Event::Call => {
                let backend = view.pick(rule, &mut noise);
                view.open[backend] += 1;
                free_at[backend] = free_at[backend].max(now) + STEP_US;
                events.push(Reverse((free_at[backend], worker, Event::Answer(backend))));
            }
            Event::Answer(backend) => {
                view.open[backend] -= 1;
                answered += u64::from(now > WARM_UP_US);
                // The hasher's turn, then the worker's own wait; each overshoots a little.
                let next = now + 2 * STEP_US + noise.below(2_000);
                events.push(Reverse((next, worker, Event::Call)));
            }
        }
    }
    answered as f64 * 1e6 / (END_US - WARM_UP_US) as f64
}

fn mean(rule: Rule) -> f64 {
    let seeds = 1..=20;
    let count = 20.0;
    seeds.map(|seed| rate(rule, seed)).sum::<f64>() / count
}

#[test]
fn three_backends_serve_within_three_percent_of_thirty() {
    let [ours, first, random] = [Rule::Ours, Rule::TiesToTheFirst, Rule::Random].map(mean);
    println!("requests a second, of 30: ours {ours:.1}, ties to the first {first:.1}, random {random:.1}");
    assert!(ours > 30.0 * 0.97, "ours: {ours:.2}");
    assert!(first < 30.0 * 0.95, "ties to the first are as good: {first:.2}");
    assert!(random < 30.0 * 0.9, "random is as good: {random:.2}");
}
