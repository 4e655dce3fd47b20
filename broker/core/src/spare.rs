//! Giving back what queues held for a flood that is over: an idle node keeps no room for one.

use std::collections::VecDeque;

/// Room for so many is kept.
const SPARE_ITEMS: usize = 64;

/// Gives back most of a queue's room once hardly anything waits in it; each item that comes and goes pays for it.
pub(crate) fn shrink<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() > SPARE_ITEMS && queue.len() < queue.capacity() / 8 {
        queue.shrink_to((2 * queue.len()).max(SPARE_ITEMS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_keeps_room_in_proportion_to_what_waits_in_it() {
        let mut queue: VecDeque<u64> = (0..100_000).collect();
        while queue.pop_front().is_some() {
            shrink(&mut queue);
            assert!(queue.capacity() <= (8 * queue.len() + 8).max(SPARE_ITEMS), "{}", queue.len());
            assert!(queue.front().is_none_or(|first| first + queue.len() as u64 == 100_000));
        }
    }
}
