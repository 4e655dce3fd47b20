//! The README: the commands that it promises to work, and what it says that they print.

/// Commands with the output that is promised.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// The line of the first command, from 1.
    pub line: usize,
    /// A shell script.
    pub commands: String,
    /// What it prints on standard output.
    pub output: String,
}

/// The steps of a Markdown text: blocks fenced as ```` ```sh tour ````, each before the one fenced as ```` ```text ````
/// that it prints.
pub fn tour_of(markdown: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut begun: Option<(usize, String)> = None;
    for (line, fence, block) in blocks(markdown) {
        match (fence.as_str(), begun.take()) {
            ("sh tour", None) => begun = Some((line, block)),
            ("text", Some((line, commands))) => steps.push(Step { line, commands, output: block }),
            (_, None) => {}
            (_, Some((line, _))) => panic!("nothing tells what the commands in line {line} print"),
        }
    }
    assert!(begun.is_none(), "nothing tells what the last commands print");
    steps
}

/// The blocks that are fenced as `language`.
pub fn blocks_of(markdown: &str, language: &str) -> Vec<String> {
    blocks(markdown)
        .into_iter()
        .filter(|(_, fence, _)| fence == language)
        .map(|(_, _, block)| block)
        .collect()
}

/// All fenced blocks: the line that each begins at, what stands on its fence, and what is in it.
fn blocks(markdown: &str) -> Vec<(usize, String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String, String)> = None;
    for (number, line) in (1..).zip(markdown.lines()) {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(fence)) => open = Some((number + 1, fence.trim().to_owned(), String::new())),
            (None, None) => {}
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, _, block)), None) => *block += &format!("{line}\n"),
        }
    }
    assert!(open.is_none(), "the last block is not closed");
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_taken_with_what_they_print() {
        let text = "a\n```sh\nrm x\n```\n```sh tour\ncurl a\ncurl b\n```\nso:\n```text\n1\n2\n```\n```toml\nx = 1\n```\n";
        let step = Step { line: 6, commands: "curl a\ncurl b\n".to_owned(), output: "1\n2\n".to_owned() };
        assert_eq!(tour_of(text), [step]);
        assert_eq!(blocks_of(text, "toml"), ["x = 1\n"]);
        assert_eq!(tour_of("nothing"), []);
    }
}
