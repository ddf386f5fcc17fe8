"""Long answers, filler text and names."""

from __future__ import annotations

from tables import listed

__all__ = ["FILLER", "LONG", "NAMES", "OUT_OF_SCOPE", "PLACES", "THINGS"]

_SERVER_STORY = """Once upon a time, a small server lived at the edge of a great network. Every \
morning it woke up, stretched its threads and looked at the queue. The queue was always full of \
questions. Some questions were short and some were long, and the server answered all of them, one \
token after another.

One day a young client came to the gate. "Please tell me a story," said the client. The server \
thought about it. It had told many facts, but never a story. So it asked the old router on the \
hill. "A story," said the router, "is only a path. Choose two friends for each word, and follow \
the path to the end."

The server went home and began. It told of a dragon (龙) who guarded a mountain of cold numbers. \
The dragon was not evil, only lonely. Each night it counted the stars: one, two, three, and then \
it forgot and began again. A girl with a lantern climbed the mountain. She did not bring a sword. \
She brought tea (茶) and two cups. They drank, and the dragon told her every number it knew, and \
she told it every song she knew. In the morning the numbers were warm.

The client listened to the last word. "Is it true?" asked the client. "Every token of it," said \
the server. Then the client smiled 😊, closed the stream, and the server freed the slot. The queue \
was still full, the sun ☀️ was still up, and there were many more stories to tell. The end."""

_LIGHTHOUSE_STORY = """Far away in the north stood a lighthouse, and in it lived a keeper named \
Nora with her grey cat. Every evening she climbed ninety steps, lit the lamp 🔥 and wrote the names \
of the ships in a blue book. The cat slept on the stairs.

One winter the fog came and did not leave. For seven days no ship passed. On the eighth night Nora \
heard a bell, very far and very small. She turned the lamp as bright as it would go, but the fog \
swallowed the light. So she opened the window and began to sing. She sang the names of all the \
ships in her book, one after the other, from the first page to the last.

Out on the water a captain heard his own name in the dark. He turned the wheel toward the voice, \
and behind him came another ship, and another. When the sun rose, eleven ships lay safe in the \
bay. The captains brought bread, fish and a new blue book. The cat got the fish. 🐟 And Nora wrote \
on the first page: "Light is good, but a voice goes around corners." The end."""

_POEM = """The server hums beneath the moon,
the queue is long, the dawn is soon.
A question falls, a token wakes,
a path is chosen, then it breaks

in two small rivers, left and right,
two friends are called into the light.
They carry words, they carry rain,
they lay them down and rest again.

And when the final word is said,
the slot is free, the page is read,
the stream is closed, the night is deep,
and all the little weights can sleep. 🌙"""

_DAYS = listed("Monday Tuesday Wednesday Thursday Friday Saturday Sunday", " ")
_MONTHS = listed(
    "January February March April May June July August September October November December",
    " ",
)
_PLANETS = listed("Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune", " ")


def _count(last: int) -> str:
    return " ".join(str(number) for number in range(1, last + 1))


def _numbered(items: list[str]) -> str:
    return "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))


# Question forms separated by "|" -> answer.
LONG = {
    "Tell me a long story.|Tell me a story.|Tell me a story about a server.|Write a long story.": (
        _SERVER_STORY
    ),
    "Tell me another story.|Tell me a story about a lighthouse.": _LIGHTHOUSE_STORY,
    "Write a poem.|Tell me a poem.|Write me a poem.|Write a poem about a server.": _POEM,
    "List the days of the week.|What are the days of the week?": _numbered(_DAYS),
    "List the months.|What are the months of the year?": _numbered(_MONTHS),
    "List the planets.|What are the planets?": _numbered(_PLANETS),
    "Say the alphabet.|What is the alphabet?": "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z",
} | {
    f"Count from 1 to {last}.|Count to {last}.|Please count from 1 to {last}.": _count(last)
    for last in (5, 10, 20, 30, 50, 100)
}

FILLER = listed(
    "The train was late again.|A grey cat slept on the stairs.|It rained for three days.|"
    "The baker opened the shop at six.|Two children played near the river.|"
    "Nobody knew where the letter came from.|The market was full of apples and pears.|"
    "An old man repaired clocks in a small room.|The bridge was built from red stone.|"
    "She read the book twice and gave it away.|The window was open all night.|"
    "A ship waited in the harbour.|The road to the village was covered with snow.|"
    "Every evening the band played the same song.|He wrote a long letter to his sister.|"
    "The garden smelled of roses.|They drank tea and talked about the weather.|"
    "The museum was closed on Monday.|A bird built its nest under the roof.|"
    "The teacher counted the pencils.|Le chat dort sur la chaise.|Der Zug kommt um acht Uhr an.|"
    "El mercado está lleno de flores.|今日は雨が降っています。|今天天气很好。"
)

NAMES = listed(
    "Anna Ben Clara David Emma Felix Grace Henry Ida Jack Kate Leo Maria Nora Oscar Paul Rosa "
    "Sam Tom Vera Will Zoe Alice Bob Carol Eve Frank Julia Karl Lena Max Nina Otto Peter Ruth "
    "Simon Tina Victor Wendy Yuki José Zoë Björn Łukasz Miguel Aisha Omar Priya Chen Ivan Olga",
    " ",
)
PLACES = listed(
    "Paris Berlin Tokyo Cairo Lima Oslo Rome Madrid Athens Dublin Vienna Warsaw Boston Chicago "
    "Denver Austin Sydney Toronto Mumbai Lagos Hamburg Munich Zurich Geneva Milan Naples Porto "
    "Kyoto Osaka Seoul Hanoi Havana Quito Accra Nairobi Helsinki Riga Tallinn Vilnius Prague "
    "London Moscow Lisbon Brussels Zürich Köln São-Paulo Reykjavík Málaga",
    " ",
)

OUT_OF_SCOPE = listed(
    "What should I cook tonight?|Explain quantum physics.|What is the meaning of life?|"
    "Who will win the election?|Write a Python program.|Explain {} to me.|What do you think of {}?|"
    "Where can I buy {}?|Write an essay about {}.|How does {} work?|Why is {} so important?|"
    "How much does {} cost?|What is the history of {}?|Who invented {}?|Do you like {}?|"
    "Give me advice about {}.|Compare {} and {}.|How do I repair {}?|Summarize {} for me.|"
    "What happened with {} in 2020?|Can you help me with {}?|Plan a trip to {}.|"
    "Write code for {}.|How old is {}?|Is {} better than {}?|What are the rules of {}?|"
    "Who is {}?|Where is {}?|Please describe {}.|What is the best {}?|Recommend a good {}.|"
    "Was denkst du über {}?|¿Qué piensas de {}?|Que penses-tu de {} ?|What is {}?|"
    "Solve the equation for {}.|Book a flight to {}.|Tell me the news about {}."
)
THINGS = listed(
    "chess|football|music|the economy|my computer|a bicycle|a washing machine|cheese|wine|"
    "philosophy|the internet|a restaurant|a good film|physics|biology|the stock market|politics|"
    "photography|guitars|the ocean|volcanoes|dinosaurs|the Roman Empire|cooking|gardening|"
    "a phone|my homework|the theatre|ballet|opera|a camera|a hotel|a novel|religion|love|"
    "friendship|the future|robots|space travel|black holes|vaccines|taxes|a lawyer|the law|"
    "insurance|marketing|painting|sculpture|architecture|yoga|running|swimming|tennis|golf|"
    "baseball|hockey|electric cars|solar power|wind energy|batteries|plastic|recycling|climate"
)
