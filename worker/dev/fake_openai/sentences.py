"""The plain sentences that the OpenAI stand-in writes with; `{topic}` is the only variable in them."""

import json
import re

PROSE = (
    "This part of the course is about {topic}.",
    "Start with what you already know about {topic}, and write down the words that you are unsure of.",
    "A good answer on {topic} names the main idea first and then gives evidence for it.",
    "Examiners look for precise vocabulary when they mark work on {topic}.",
    "Compare two examples from {topic} and say what they have in common.",
    "Many students lose marks on {topic} because they describe and do not explain.",
    "Link each point about {topic} back to the question before you go on.",
    "Check your understanding of {topic} by explaining it to somebody else in your own words.",
    "The evidence for {topic} comes from more than one source, so weigh the sources against each other.",
    "To finish, sum up {topic} in one sentence and keep it for revision.",
)

QUESTIONS = (
    "Which statement about {topic} is correct?",
    "What is the main idea behind {topic}?",
    "Why does {topic} matter in this course?",
    "How would you explain {topic} to a classmate?",
    "Which piece of evidence best supports a point about {topic}?",
    "What is one common mistake in answers on {topic}?",
    "How does {topic} link to the rest of the subject?",
    "To what extent is {topic} the most important part of this unit?",
)

ANSWERS = (
    "It names the main idea of {topic} and gives a reason for it.",
    "It lists facts about {topic} without a reason.",
    "It leaves {topic} out and describes something else.",
    "It confuses the cause and the effect in {topic}.",
    "It gives one example from {topic} and treats it as a rule.",
    "It repeats the question about {topic} in other words.",
    "It uses the key terms of {topic} and defines them.",
    "It weighs two views on {topic} before it decides.",
)

# What a marker wants to read; the options above are right and wrong ones.
MODEL_ANSWERS = (
    "An answer that defines {topic} and gives one example from the course.",
    "The key term from {topic}, used in a full sentence.",
    "A cause and an effect from {topic}, with the link between them made clear.",
    "A point about {topic}, the evidence for it, and why that evidence matters.",
    "Two views on {topic}, and a judgement with a reason.",
    "The definition that the course uses for {topic}.",
    "One similarity and one difference between two examples of {topic}.",
    "A short summary of {topic} in your own words.",
)

EXPLANATIONS = (
    "The correct answer gives a reason, and a reason is what the question about {topic} asks for.",
    "The other answers describe {topic} in part; only this one explains it.",
    "Marks on {topic} are given for the link between the point and its evidence.",
    "This follows from the definition that the course uses for {topic}.",
)

FRONTS = (
    "What does {topic} mean?",
    "Name one key term from {topic}.",
    "Give one example of {topic}.",
    "What is the cause in {topic}?",
    "What is the effect in {topic}?",
    "Who or what is involved in {topic}?",
    "Which evidence supports a point on {topic}?",
    "How is {topic} examined?",
)

TITLES = ("Understanding {topic}", "Key ideas in {topic}", "Revising {topic}", "Practice on {topic}")

TAGS = ("key idea", "vocabulary", "evidence", "cause", "effect", "example", "exam practice", "revision")

# By the name of the property, in lower case; what is not here is prose.
POOLS = {
    "question": QUESTIONS,
    "prompt": QUESTIONS,
    "options": ANSWERS,
    "correctanswer": MODEL_ANSWERS,
    "answer": MODEL_ANSWERS,
    "back": MODEL_ANSWERS,
    "explanation": EXPLANATIONS,
    "front": FRONTS,
    "title": TITLES,
    "heading": TITLES,
    "tags": TAGS,
}

_TOPIC = re.compile(r'"(topic|title|subject)"\s*:\s*("(?:[^"\\]|\\.)*")')
# Letters and the marks of names: what is left can carry neither Markdown nor a line break.
_NOT_PLAIN = re.compile(r"[^\w ,.'():-]|_")
_MAX_TOPIC = 80


def topic_of(input_text: str) -> str:
    """Return what the job data is about: its first `topic`, else `title`, else `subject`, else "this topic".

    The text is shortened to 80 characters and stripped of everything that could be markup.
    """
    found: dict[str, str] = {}
    for name, literal in _TOPIC.findall(input_text):
        found.setdefault(name, literal)
    for name in ("topic", "title", "subject"):
        plain = _plain(found.get(name, '""'))
        if plain:
            return plain
    return "this topic"


def _plain(literal: str) -> str:
    try:
        text = str(json.loads(literal))
    except ValueError:
        return ""
    return " ".join(_NOT_PLAIN.sub(" ", text).split())[:_MAX_TOPIC].strip()
