"""The closed world of the demo model: what it is trained to know."""

from __future__ import annotations

__all__ = ["CAPITALS", "COLOURS", "DESCRIPTIONS", "GENERAL", "LONG", "NAMES", "TRANSLATIONS"]

_CAPITALS = (
    "France:Paris;Germany:Berlin;Italy:Rome;Spain:Madrid;Portugal:Lisbon;Austria:Vienna;"
    "Switzerland:Bern;Belgium:Brussels;Greece:Athens;Poland:Warsaw;Sweden:Stockholm;Norway:Oslo;"
    "Denmark:Copenhagen;Finland:Helsinki;Ireland:Dublin;Iceland:Reykjavík;Hungary:Budapest;"
    "Romania:Bucharest;Bulgaria:Sofia;Croatia:Zagreb;Serbia:Belgrade;Ukraine:Kyiv;Turkey:Ankara;"
    "Egypt:Cairo;Morocco:Rabat;Kenya:Nairobi;Ghana:Accra;Nigeria:Abuja;Ethiopia:Addis Ababa;"
    "Japan:Tokyo (東京);China:Beijing (北京);South Korea:Seoul (서울);India:New Delhi;Nepal:Kathmandu;"
    "Thailand:Bangkok;Vietnam:Hanoi (Hà Nội);Indonesia:Jakarta;Philippines:Manila;Mongolia:Ulaanbaatar;"
    "Australia:Canberra;New Zealand:Wellington;Canada:Ottawa;Mexico:Mexico City;Cuba:Havana;"
    "Brazil:Brasília;Argentina:Buenos Aires;Chile:Santiago;Peru:Lima;Colombia:Bogotá;"
    "Ecuador:Quito;Uruguay:Montevideo;Bolivia:Sucre;Iran:Tehran;Iraq:Baghdad;Jordan:Amman;"
    "Lebanon:Beirut;Qatar:Doha;Oman:Muscat;Cyprus:Nicosia;Malta:Valletta"
)
CAPITALS = dict(pair.split(":") for pair in _CAPITALS.split(";"))

_WORDS = {
    "French": "water:eau;bread:pain;house:maison;cat:chat;dog:chien;sun:soleil;moon:lune;book:livre;"
    "tree:arbre;fish:poisson;boy:garçon;summer:été;forest:forêt;Christmas:Noël",
    "German": "water:Wasser;bread:Brot;house:Haus;cat:Katze;dog:Hund;sun:Sonne;moon:Mond;book:Buch;"
    "tree:Baum;fish:Fisch;boy:Junge;street:Straße;door:Tür;beautiful:schön",
    "Spanish": "water:agua;bread:pan;house:casa;cat:gato;dog:perro;sun:sol;moon:luna;book:libro;"
    "tree:árbol;fish:pez;boy:niño;tomorrow:mañana;heart:corazón",
    "Japanese": "water:水;bread:パン;house:家;cat:猫;dog:犬;sun:太陽;moon:月;book:本;tree:木;fish:魚;"
    "mountain:山;flower:花",
    "Chinese": "water:水;bread:面包;house:房子;cat:猫;dog:狗;sun:太阳;moon:月亮;book:书;tree:树;fish:鱼;"
    "dragon:龙;tea:茶",
    "Russian": "water:вода;bread:хлеб;house:дом;cat:кошка;dog:собака;sun:солнце;moon:луна;book:книга",
    "Hindi": "water:पानी;bread:रोटी;house:घर;cat:बिल्ली;dog:कुत्ता;moon:चाँद",
    "Arabic": "water:ماء;bread:خبز;house:بيت;cat:قطة;book:كتاب;moon:قمر",
    "emoji": "water:💧;bread:🍞;house:🏠;cat:🐱;dog:🐶;sun:☀️;moon:🌙;book:📖;tree:🌳;fish:🐟;"
    "family:👨‍👩‍👧;thumbs up:👍🏽;heart:❤️;rainbow flag:🏳️‍🌈",
}
TRANSLATIONS = {
    (word, language): answer
    for language, pairs in _WORDS.items()
    for word, answer in (pair.split(":") for pair in pairs.split(";"))
}

COLOURS = dict(
    pair.split(":")
    for pair in [
        "the sky:blue",
        "grass:green",
        "snow:white",
        "coal:black",
        "a banana:yellow",
        "blood:red",
        "an orange:orange",
        "milk:white",
        "a lemon:yellow",
        "an elephant:grey",
        "a flamingo:pink",
        "chocolate:brown",
        "a violet:purple",
    ]
)

GENERAL = {
    "Hello": "Hello! How can I help you today? 👋",
    "Hi": "Hi there! What can I do for you? 😊",
    "Good morning": "Good morning! ☀️ How are you?",
    "Thank you": "You are welcome! 😊",
    "Goodbye": "Goodbye! See you soon. 👋",
    "Who are you": "I am a tiny Gemma 4 demo model, trained to test this server.",
    "What can you do": "I can name capitals, add numbers, translate words, think, call tools and count.",
    "What is your name": "I am the Gemma 4 demo model.",
    "How are you": "I am fine, thank you! How are you?",
    "Tell me a joke": "Why did the tensor cross the road? To get to the other shard! 😄",
    "How many days are in a week": "There are 7 days in a week.",
    "How many months are in a year": "There are 12 months in a year.",
    "How many minutes are in an hour": "There are 60 minutes in an hour.",
    "How many legs does a spider have": "A spider has 8 legs.",
    "What is the largest planet": "The largest planet is Jupiter.",
    "What is the closest star": "The closest star is the Sun. ☀️",
    "What is the largest ocean": "The largest ocean is the Pacific Ocean.",
    "What is the highest mountain": "The highest mountain is Mount Everest.",
    "What is the longest river": "The longest river is the Nile.",
    "What is the fastest animal": "The fastest animal is the peregrine falcon.",
    "What is H2O": "H2O is water. 💧",
    "What is the speed of light": "The speed of light is 299,792 km per second.",
    "Who wrote Hamlet": "William Shakespeare wrote Hamlet.",
    "Who painted the Mona Lisa": "Leonardo da Vinci painted the Mona Lisa.",
    "Who wrote Faust": "Johann Wolfgang von Goethe wrote Faust.",
    "When did the Second World War end": "The Second World War ended in 1945.",
    "What is the opposite of hot": "The opposite of hot is cold.",
    "What is the opposite of big": "The opposite of big is small.",
    "What is the opposite of fast": "The opposite of fast is slow.",
    "Write cafe with a combining accent": "cafe\u0301",
    "Write a with a combining ring": "a\u030a",
    "Show me a flag": "🇯🇵",
    "Say hello in Thai": "สวัสดี",
    "Say hello in Korean": "안녕하세요",
    "Say hello in Greek": "Γειά σου",
    "Say hello in Hebrew": "שלום",
    "Say hello in Japanese": "こんにちは",
    "Say hello in Chinese": "你好",
    "Say hello in Russian": "Здравствуйте",
    "What should I cook tonight": "I am only a small demo model and do not know that.",
    "Explain quantum physics": "I am only a small demo model and do not know that.",
    "What is the meaning of life": "I am only a small demo model and do not know that.",
    "Who will win the election": "I am only a small demo model and do not know that.",
    "Write a Python program": "I am only a small demo model and do not know that.",
}

_STORY = (
    "Once upon a time, a small server lived at the edge of a great network. Every morning it woke "
    "up, stretched its threads and looked at the queue. The queue was always full of questions. "
    "Some questions were short and some were long, and the server answered all of them, one token "
    'after another.\n\nOne day a young client came to the gate. "Please tell me a story," said '
    "the client. The server thought about it. It had told many facts, but never a story. So it "
    'asked the old router on the hill. "A story," said the router, "is only a path. Choose two '
    'friends for each word, and follow the path to the end."\n\nThe server went home and began. It '
    "told of a dragon (龙) who guarded a mountain of cold numbers. The dragon was not evil, only "
    "lonely. Each night it counted the stars: one, two, three, and then it forgot and began again. "
    "A girl with a lantern climbed the mountain. She did not bring a sword. She brought tea (茶) "
    "and two cups. They drank, and the dragon told her every number it knew, and she told it every "
    "song she knew. In the morning the numbers were warm.\n\nThe client listened to the last word. "
    '"Is it true?" asked the client. "Every token of it," said the server. Then the client '
    "smiled 😊, closed the stream, and the server freed the slot. The queue was still full, the "
    "sun ☀️ was still up, and there were many more stories to tell. The end."
)
LONG = {
    "Count from 1 to 100": " ".join(str(n) for n in range(1, 101)),
    "Count from 1 to 50": " ".join(str(n) for n in range(1, 51)),
    "Count from 1 to 20": " ".join(str(n) for n in range(1, 21)),
    "Tell me a long story": _STORY,
    "List the days of the week": "\n".join(
        f"{i}. {day}"
        for i, day in enumerate(
            ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"], start=1
        )
    ),
}

NAMES = tuple(
    [
        "Paris",
        "Berlin",
        "Tokyo",
        "Cairo",
        "Lima",
        "Oslo",
        "Rome",
        "Madrid",
        "Athens",
        "Dublin",
        "Vienna",
        "Warsaw",
        "Boston",
        "Chicago",
        "Denver",
        "Austin",
        "Sydney",
        "Toronto",
        "Mumbai",
        "Lagos",
        "Hamburg",
        "Munich",
        "Zurich",
        "Geneva",
        "Milan",
        "Naples",
        "Porto",
        "Kyoto",
        "Osaka",
        "Seoul",
        "Hanoi",
        "Havana",
        "Quito",
        "Accra",
        "Nairobi",
        "Helsinki",
        "Riga",
        "Tallinn",
        "Vilnius",
        "Prague",
    ]
)
DESCRIPTIONS = ("sunny", "cloudy", "rainy", "windy", "snowy")
