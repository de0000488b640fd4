"""Texts of signs, posters, documents and dealers, in mixed case: in capitals, a single word could be a plate."""

from __future__ import annotations

import string

from generate_captcha.seeded_random import SeededRandom

#: Words of signs, shops and documents in several languages.
WORDS = (
    "Open", "Sale", "Exit", "Parking", "Bakery", "Market", "Street", "School", "Garden", "House", "Station", "North",
    "Service", "Hotel", "Coffee", "Flowers", "Express", "Invoice", "Total", "Amount", "Customer", "Number", "Please",
    "Welcome", "City", "Centre", "Building", "Deliveries", "Only", "Private", "Property", "Keep", "Clear", "Danger",
    "Attention", "Fresh", "Daily", "Offer", "Ausfahrt", "Einfahrt", "freihalten", "Zufahrt", "Straße", "Bahnhof",
    "Apotheke", "Bäckerei", "Autohaus", "Werkstatt", "Rechnung", "Summe", "Datum", "Betrag", "Kunde", "verboten",
    "Anlieger", "frei", "Umleitung", "Schule", "Kirche", "Markt", "Angebot", "Sortie", "Livraison", "Boulangerie",
    "Pharmacie", "Rue", "Place", "Garage", "Prix", "Ouvert", "fermé", "Salida", "Entrada", "Calle", "Mercado", "Tienda",
    "Farmacia", "Abierto", "Precio", "Uscita", "Strada", "Piazza", "Negozio", "Prezzo", "Aperto", "Wyjazd", "Ulica",
    "Sklep", "Apteka", "Dworzec", "Uitgang", "Winkel", "Straat", "Utgång", "Gata", "and", "of", "the", "for", "und",
    "der", "die", "mit", "für", "von", "de", "la", "les", "pour", "del", "con", "per", "est", "van", "na", "sur", "in",
)  # fmt: skip
#: Syllables of invented words and names.
SYLLABLES = (
    "ba", "ber", "ca", "dan", "del", "do", "el", "en", "fa", "gar", "hol", "in", "ka", "ko", "lan", "ler", "li", "lo",
    "ma", "men", "mi", "na", "ner", "no", "o", "par", "pe", "ra", "ri", "ro", "sa", "sch", "sen", "so", "sta", "ta",
    "te", "ton", "tor", "u", "va", "ver", "vi", "wa", "wer", "zi",
)  # fmt: skip
DOMAINS = ("com", "de", "net", "eu", "fr", "it", "pl", "co.uk", "org", "es", "nl", "com.br")
UNITS = ("€", "$", "£", "kg", "km", "m", "t", "%", "h", "min", "l", "cm")
#: The characters of all texts.
CHARACTERS = "".join(
    sorted(set("".join((*WORDS, *DOMAINS, *UNITS))) | set(string.ascii_letters + string.digits + " .,:/()+-@"))
)
#: Number of invented words: few enough that their drawn forms stay in the cache.
INVENTED = 300


def word(rng: SeededRandom) -> str:
    """Return a word, in small letters or with a capital at its beginning."""
    if rng.random() < 0.7:
        return rng.choice(WORDS)
    return invented(rng)


def invented(rng: SeededRandom) -> str:
    """Return one of :data:`INVENTED` invented names, with a capital at its beginning."""
    own = SeededRandom(f"name {rng.randbelow(INVENTED)}")
    return "".join(own.choice(SYLLABLES) for _ in range(2 + own.randbelow(2))).capitalize()


def price(rng: SeededRandom) -> str:
    """Return a number with a unit: a price, a weight, a distance."""
    number = str(1 + rng.randbelow(999 if rng.random() < 0.3 else 99))
    if rng.random() < 0.6:
        number += f"{rng.choice('.,')}{rng.randbelow(100):02}"
    return f"{number} {rng.choice(UNITS)}"


def phone(rng: SeededRandom) -> str:
    """Return a telephone number, usually in groups."""
    digits = "".join(str(rng.randbelow(10)) for _ in range(9))
    return rng.choice(
        (
            f"Tel. 0{digits[:2]} / {digits[2:6]} {digits[6:]}",
            f"+4{digits[0]} {digits[1:4]} {digits[4:]}",
            f"({digits[:3]}) {digits[3:6]}-{digits[6:]}",
            f"Fax 0{digits[:4]}-{digits[4:]}",
        )
    )


def address(rng: SeededRandom) -> str:
    """Return a web address, an e-mail address or a street."""
    name, domain = invented(rng).lower(), rng.choice(DOMAINS)
    chance = rng.random()
    if chance < 0.45:
        return f"www.{name}.{domain}"
    if chance < 0.6:
        return f"{name}-{word(rng).lower()}.{domain}"
    if chance < 0.75:
        return f"info@{name}.{domain}"
    return f"{invented(rng)} {rng.choice(('St.', 'Str.', 'Road', 'Ave.', 'ul.'))} {1 + rng.randbelow(180)}"


def time(rng: SeededRandom) -> str:
    """Return a date and a time of day, as cameras write them into a picture and shops on their door."""
    hour, minute = rng.randbelow(24), rng.randbelow(60)
    if rng.random() < 0.4:
        return f"{rng.choice(('Mo-Fr', 'Mon-Sat', 'Sa', 'lun-ven'))} {hour}:{minute:02}-{rng.randbelow(24)}:00"
    year, month, day = 2008 + rng.randbelow(20), 1 + rng.randbelow(12), 1 + rng.randbelow(28)
    date = rng.choice((f"{year}-{month:02}-{day:02}", f"{day:02}.{month:02}.{year}", f"{month:02}/{day:02}/{year}"))
    return f"{date} {hour:02}:{minute:02}:{rng.randbelow(60):02}"


def phrase(rng: SeededRandom, words: int) -> str:
    """Return a number of words, seldom with a number among them."""
    parts = [word(rng) for _ in range(words)]
    if rng.random() < 0.25:
        parts[rng.randbelow(words)] = price(rng)
    return " ".join(parts)


def small_print(rng: SeededRandom) -> str:
    """Return a line such as signs, receipts and documents have in small print."""
    chance = rng.random()
    if chance < 0.5:
        return phrase(rng, 2 + rng.randbelow(3))
    return rng.choice((price, phone, address, time))(rng)
