//! The tour of the README: the commands that it promises to work.

/// The blocks of a Markdown text that are fenced as ```` ```sh tour ````, in order, with the line that each begins at.
pub fn tour_of(markdown: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(markdown.lines()) {
        match &mut open {
            None if line.trim() == "```sh tour" => open = Some((number + 1, String::new())),
            None => {}
            Some(_) if line.trim() == "```" => blocks.extend(open.take()),
            Some((_, block)) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a block of the tour is not closed");
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_of_the_tour_are_taken() {
        let text =
            "a\n```sh\nrm x\n```\n```sh tour\ncurl a\ncurl b\n```\n```json\n1\n```\n```sh tour\nls\n```\n";
        let blocks = [(6, "curl a\ncurl b\n".to_owned()), (13, "ls\n".to_owned())];
        assert_eq!(tour_of(text), blocks);
        assert_eq!(tour_of("nothing"), []);
    }
}
