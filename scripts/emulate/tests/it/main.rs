//! The functions' Lambda binaries behind an emulated AWS: the race, and what can go wrong between a queue and a function.

#[cfg(test)]
mod capacity;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod market;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod race;
#[cfg(test)]
mod stage;
