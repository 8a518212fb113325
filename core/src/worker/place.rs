//! On which processor a worker runs: wherever the system puts it, or pinned.

use std::path::Path;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where a pinned worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerPlace {
    /// Number of the worker.
    pub worker: usize,
    /// Processor that it is pinned to.
    pub cpu: usize,
    /// NUMA node of the processor, if the system has nodes. It is reported, and not acted on: devices and buffers are
    /// where they are.
    pub numa_node: Option<usize>,
}

/// Pins the calling thread to one of the processors that the process may use, in turn. `None` if the system refuses.
pub(crate) fn pin(worker: usize) -> Option<WorkerPlace> {
    let allowed = sched_getaffinity(None).ok()?;
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    let cpu = *cpus.get(worker.checked_rem(cpus.len())?)?;
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).ok()?;
    Some(WorkerPlace { worker, cpu, numa_node: numa_node(Path::new("/sys/devices/system/cpu"), cpu) })
}

/// The node of a processor: its folder has a link `nodeN`.
fn numa_node(folder: &Path, cpu: usize) -> Option<usize> {
    let entries = std::fs::read_dir(folder.join(format!("cpu{cpu}"))).ok()?;
    entries.filter_map(Result::ok).find_map(|entry| {
        let name = entry.file_name();
        name.to_str()?.strip_prefix("node")?.parse().ok()
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_may_run_on_one_processor_only() {
        let thread = std::thread::spawn(|| {
            let place = pin(usize::MAX).unwrap();
            let allowed = sched_getaffinity(None).unwrap();
            (place.cpu, allowed.count(), allowed.is_set(place.cpu))
        });
        let (_, count, is_there) = thread.join().unwrap();
        assert_eq!((count, is_there), (1, true));
    }

    #[test]
    fn the_node_of_a_processor_is_read_from_its_folder() {
        let folder = std::env::temp_dir().join(format!("acrypto-cpu-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("cpu3/node1")).unwrap();
        std::fs::create_dir_all(folder.join("cpu4/topology")).unwrap();
        assert_eq!(numa_node(&folder, 3), Some(1));
        assert_eq!((numa_node(&folder, 4), numa_node(&folder, 5)), (None, None));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
