"""Translations and emoji. Some characters are in the vocabulary, others need byte fallback."""

from __future__ import annotations

from tables import table

__all__ = ["EMOJI", "TRANSLATIONS", "VOCABULARY_SCRIPTS"]

_WORDS = {
    "French": "water:eau;bread:pain;house:maison;cat:chat;dog:chien;sun:soleil;moon:lune;"
    "book:livre;tree:arbre;fish:poisson;boy:garçon;summer:été;forest:forêt;friend:ami",
    "German": "water:Wasser;bread:Brot;house:Haus;cat:Katze;dog:Hund;sun:Sonne;moon:Mond;"
    "book:Buch;tree:Baum;fish:Fisch;boy:Junge;street:Straße;door:Tür;friend:Freund",
    "Spanish": "water:agua;bread:pan;house:casa;cat:gato;dog:perro;sun:sol;moon:luna;book:libro;"
    "tree:árbol;fish:pez;boy:niño;tomorrow:mañana;heart:corazón;friend:amigo",
    "Italian": "water:acqua;bread:pane;house:casa;cat:gatto;dog:cane;sun:sole;moon:luna;"
    "book:libro;tree:albero;city:città;coffee:caffè;friend:amico",
    "Japanese": "water:水;bread:パン;house:家;cat:猫;dog:犬;sun:太陽;moon:月;book:本;tree:木;"
    "fish:魚;mountain:山;flower:花;friend:友達",
    "Chinese": "water:水;bread:面包;house:房子;cat:猫;dog:狗;sun:太阳;moon:月亮;book:书;tree:树;"
    "fish:鱼;dragon:龙;tea:茶;friend:朋友",
    "Korean": "water:물;bread:빵;house:집;cat:고양이;dog:개;sun:태양;moon:달;book:책;tree:나무",
    "Russian": "water:вода;bread:хлеб;house:дом;cat:кошка;dog:собака;sun:солнце;moon:луна;"
    "book:книга;friend:друг",
    "Greek": "water:νερό;bread:ψωμί;house:σπίτι;cat:γάτα;sun:ήλιος;moon:φεγγάρι;book:βιβλίο",
    "Hindi": "water:पानी;bread:रोटी;house:घर;cat:बिल्ली;dog:कुत्ता;moon:चाँद",
    "Arabic": "water:ماء;bread:خبز;house:بيت;cat:قطة;book:كتاب;moon:قمر",
}
TRANSLATIONS = {
    (word, language): answer
    for language, pairs in _WORDS.items()
    for word, answer in table(pairs).items()
}

EMOJI = table(
    "water:💧;bread:🍞;house:🏠;cat:🐱;dog:🐶;sun:☀️;moon:🌙;book:📖;tree:🌳;fish:🐟;fire:🔥;"
    "star:⭐;rocket:🚀;pizza:🍕;coffee:☕;apple:🍎;car:🚗;robot:🤖;heart:❤️;family:👨‍👩‍👧;"
    "thumbs up:👍🏽;rainbow flag:🏳️‍🌈;dragon:🐉;snow:❄️;flower:🌸;France:🇫🇷;Germany:🇩🇪"
)

# Characters kept out of the vocabulary on purpose: their text goes through byte fallback.
_BYTE_FALLBACK = ("Korean", "Hindi", "Arabic")
VOCABULARY_SCRIPTS = (
    "".join(
        answer for (_, language), answer in TRANSLATIONS.items() if language not in _BYTE_FALLBACK
    )
    + "🐱🐶😊👋🌙☀️💧🔥"
)
