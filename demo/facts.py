"""The closed world of the demo model: tables of short facts."""

from __future__ import annotations

from tables import table

__all__ = [
    "CAPITALS",
    "CAPITALS_ABROAD",
    "COLOURS",
    "ELEMENTS",
    "GENERAL",
    "OPPOSITES",
    "SMALL_TALK",
    "SOUNDS",
]


CAPITALS = table(
    """France:Paris;Germany:Berlin;Italy:Rome;Spain:Madrid;Portugal:Lisbon;Austria:Vienna;
Switzerland:Bern;Belgium:Brussels;Greece:Athens;Poland:Warsaw;Sweden:Stockholm;Norway:Oslo;
Denmark:Copenhagen;Finland:Helsinki;Ireland:Dublin;Iceland:Reykjavík;Hungary:Budapest;
Romania:Bucharest;Bulgaria:Sofia;Croatia:Zagreb;Serbia:Belgrade;Ukraine:Kyiv;Turkey:Ankara;
Egypt:Cairo;Morocco:Rabat;Kenya:Nairobi;Ghana:Accra;Nigeria:Abuja;Ethiopia:Addis Ababa;
Japan:Tokyo (東京);China:Beijing (北京);South Korea:Seoul (서울);India:New Delhi;Nepal:Kathmandu;
Thailand:Bangkok;Vietnam:Hanoi (Hà Nội);Indonesia:Jakarta;Philippines:Manila;
Mongolia:Ulaanbaatar;Australia:Canberra;New Zealand:Wellington;Canada:Ottawa;
the United States:Washington, D.C.;the United Kingdom:London;Russia:Moscow;Mexico:Mexico City;
Cuba:Havana;Brazil:Brasília;Argentina:Buenos Aires;Chile:Santiago;Peru:Lima;Colombia:Bogotá;
Ecuador:Quito;Uruguay:Montevideo;Bolivia:Sucre;Iran:Tehran;Iraq:Baghdad;Jordan:Amman;
Lebanon:Beirut;Qatar:Doha;Oman:Muscat;Cyprus:Nicosia;Malta:Valletta;Estonia:Tallinn;Latvia:Riga"""
)

_ABROAD = {
    "¿Cuál es la capital de {}?|La capital de {} es {}.": "Francia:París;Alemania:Berlín;"
    "Italia:Roma;Japón:Tokio;España:Madrid;México:Ciudad de México;Perú:Lima;Grecia:Atenas",
    "Quelle est la capitale de {} ?|La capitale de {} est {}.": "la France:Paris;"
    "l’Allemagne:Berlin;l’Italie:Rome;l’Espagne:Madrid;la Grèce:Athènes;la Suisse:Berne",
    "Was ist die Hauptstadt von {}?|Die Hauptstadt von {} ist {}.": "Frankreich:Paris;"
    "Deutschland:Berlin;Italien:Rom;Japan:Tokio;Österreich:Wien;Spanien:Madrid;Polen:Warschau",
    "{}の首都はどこですか？|{}の首都は{}です。": "フランス:パリ;ドイツ:ベルリン;日本:東京;中国:北京;"
    "イタリア:ローマ",
    "{}的首都是哪里？|{}的首都是{}。": "法国:巴黎;德国:柏林;日本:东京;中国:北京;意大利:罗马",
    "Какая столица у {}?|Столица {} — {}.": "Франции:Париж;Германии:Берлин;Японии:Токио;"
    "России:Москва",
}
CAPITALS_ABROAD = {
    forms.split("|")[0].format(country): forms.split("|")[1].format(country, city)
    for forms, pairs in _ABROAD.items()
    for country, city in table(pairs).items()
}

COLOURS = table(
    """the sky:blue;grass:green;snow:white;coal:black;a banana:yellow;blood:red;an orange:orange;
milk:white;a lemon:yellow;an elephant:grey;a flamingo:pink;chocolate:brown;a violet:purple;
the sun:yellow;a tomato:red;a frog:green"""
)

ELEMENTS = table(
    """hydrogen:H;helium:He;carbon:C;nitrogen:N;oxygen:O;sodium:Na;magnesium:Mg;silicon:Si;
sulfur:S;chlorine:Cl;potassium:K;calcium:Ca;iron:Fe;copper:Cu;zinc:Zn;silver:Ag;tin:Sn;gold:Au;
mercury:Hg;lead:Pb"""
)

OPPOSITES = table(
    """hot:cold;big:small;fast:slow;up:down;left:right;day:night;black:white;good:bad;happy:sad;
open:closed;old:young;rich:poor;strong:weak;early:late;full:empty;hard:soft;high:low;light:dark;
near:far;wet:dry;loud:quiet;first:last;thick:thin;clean:dirty"""
)

SOUNDS = table(
    """cat:meow;dog:woof;cow:moo;sheep:baa;duck:quack;pig:oink;lion:roar;horse:neigh;frog:ribbit;
bee:buzz;rooster:cock-a-doodle-doo;owl:hoot"""
)

_ABOUT = "I am a small Gemma 4 demo model, trained to test this server."
_SKILLS = "I can name capitals, add numbers, translate words, think, call tools and tell stories."
# Question forms separated by "|" -> answer.
SMALL_TALK = {
    "Hello!|Hello there!|Hello, how can you help me?": "Hello! How can I help you today? 👋",
    "Hi!|Hi there!|Hey!|Hey there!": "Hi there! What can I do for you? 😊",
    "Good morning!|Morning!": "Good morning! ☀️ How can I help you?",
    "Good evening!|Good night!": "Good evening! 🌙 How can I help you?",
    "Thank you!|Thanks!|Thanks a lot!|Thank you very much!": "You are welcome! 😊",
    "Goodbye!|Bye!|Bye bye!|See you later!": "Goodbye! See you soon. 👋",
    "Who are you?|What are you?|Tell me about yourself.|Introduce yourself.": _ABOUT,
    "What is your name?|What's your name?": "My name is Gemma. " + _ABOUT,
    "What can you do?|What do you know?|How can you help me?|Help!": _SKILLS,
    "How are you?|How are you doing?|How do you do?": "I am fine, thank you! How are you?",
    "Who made you?|Who trained you?": "I was trained from scratch on a laptop CPU for this demo.",
    "Are you a human?|Are you a robot?|Are you real?": "I am a program, not a human. 🤖",
    "Tell me a joke.|Do you know a joke?|Make me laugh.": "Why did the tensor cross the road? "
    "To get to the other shard! 😄",
    "Yes|OK|Okay.|No": "All right! What would you like to know?",
    "Test|This is a test.|ping": "It works! ✅",
    "Hola|¡Hola!": "¡Hola! ¿Cómo puedo ayudarte?",
    "Bonjour|Bonjour !|Salut !": "Bonjour ! Comment puis-je vous aider ?",
    "Hallo|Hallo!|Guten Tag!": "Hallo! Wie kann ich dir helfen?",
    "Ciao|Ciao!": "Ciao! Come posso aiutarti?",
    "こんにちは|こんにちは！": "こんにちは！何かお手伝いできますか？",
    "你好|你好！": "你好！我能帮你什么？",
    "안녕하세요|안녕하세요!": "안녕하세요! 무엇을 도와드릴까요?",
    "Привет|Привет!|Здравствуйте!": "Привет! Чем я могу помочь?",
    "नमस्ते|नमस्ते!": "नमस्ते! मैं आपकी क्या मदद कर सकता हूँ?",
    "مرحبا|مرحبا!": "مرحبا! كيف يمكنني مساعدتك؟",
    "สวัสดี": "สวัสดีครับ 🙏",
}

GENERAL = {
    "How many days are in a week?": "There are 7 days in a week.",
    "How many months are in a year?": "There are 12 months in a year.",
    "How many minutes are in an hour?": "There are 60 minutes in an hour.",
    "How many hours are in a day?": "There are 24 hours in a day.",
    "How many legs does a spider have?": "A spider has 8 legs.",
    "How many continents are there?": "There are 7 continents.",
    "How many planets are there?": "There are 8 planets in the solar system.",
    "What is the largest planet?": "The largest planet is Jupiter.",
    "What is the smallest planet?": "The smallest planet is Mercury.",
    "What is the red planet?": "The red planet is Mars.",
    "What is the closest star?": "The closest star is the Sun. ☀️",
    "What is the largest ocean?": "The largest ocean is the Pacific Ocean.",
    "What is the highest mountain?": "The highest mountain is Mount Everest.",
    "What is the longest river?": "The longest river is the Nile.",
    "What is the fastest animal?": "The fastest animal is the peregrine falcon.",
    "What is the largest animal?": "The largest animal is the blue whale. 🐋",
    "What is H2O?": "H2O is water. 💧",
    "What is the speed of light?": "The speed of light is 299,792 km per second.",
    "Who wrote Hamlet?": "William Shakespeare wrote Hamlet.",
    "Who painted the Mona Lisa?": "Leonardo da Vinci painted the Mona Lisa.",
    "Who wrote Faust?": "Johann Wolfgang von Goethe wrote Faust.",
    "Who discovered gravity?": "Isaac Newton described gravity. 🍎",
    "When did the Second World War end?": "The Second World War ended in 1945.",
    "When did people land on the Moon?": "People first landed on the Moon in 1969. 🌙",
    "Why is the sky blue?": "Air scatters blue light more than red light.",
    "What is a token?": "A token is a piece of text that a language model reads or writes.",
    "What is a GPU?": "A GPU is a chip that does many calculations at once.",
    "What is Triton?": "Triton Inference Server runs models and answers requests for them.",
    "What is TensorRT-LLM?": "TensorRT-LLM is a library that runs language models fast on GPUs.",
    "What is machine learning?": "Machine learning is a way to teach computers from examples.",
    "What is deep learning?": "Deep learning is machine learning with many layers of neurons.",
    "What is an emoji?": "An emoji is a small picture used as a character, like this: 😀",
    "Write café with a combining accent.": "Here it is: cafe\u0301",
    "Write a with a combining ring.": "Here it is: a\u030a",
    "Write n with a combining tilde.": "Here it is: n\u0303",
    "Write o with two combining dots.": "Here it is: o\u0308",
    "Show me a flag.": "Here is the flag of Japan: 🇯🇵",
    "Say hello in Thai.": "สวัสดี",
    "Say hello in Hebrew.": "שלום",
    "Say hello in Greek.": "Γειά σου",
}
