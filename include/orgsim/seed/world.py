"""What both orgs know of: people, contract terms, products, companies. It depends on the seed alone."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass

from faker import Faker

_CURRENCIES = ("USD", "EUR", "GBP", "JPY", "AUD")
_COUNTRIES = ("US", "DE", "GB", "FR", "JP", "SE", "AU", "CA")


@dataclass(frozen=True, slots=True)
class Person:
    first: str
    last: str
    email: str
    federation: str
    in_target: bool = True
    active_in_target: bool = True


@dataclass(frozen=True, slots=True)
class Contract:
    name: str
    kind: str
    currency: str
    cancellation: bool
    length: bool
    renewal: bool
    status: str


@dataclass(frozen=True, slots=True)
class Product:
    contract: int
    name: str
    code: str
    pricing: str
    fixed: float | None
    floor: float | None
    rate: float | None
    unit: str
    entry: int
    in_target: bool = True


@dataclass(frozen=True, slots=True)
class Company:
    name: str
    street: str
    city: str
    state: str
    postal: str
    country: str


@dataclass(frozen=True, slots=True)
class World:
    """The same for source and target."""

    people: list[Person]
    contracts: list[Contract]
    entries: list[tuple[str, str, str]]
    products: list[Product]
    companies: list[Company]


def make(seed: int, companies: int) -> World:
    fake = Faker("en_US")
    fake.seed_instance(seed)
    chance = random.Random(f"world {seed}")
    contracts = _contracts(chance)
    entries = [
        (
            "01u" + "".join(chance.choices(string.ascii_letters + string.digits, k=12)) + "AAA",
            f"{name} Edition {n}",
            kind,
        )
        for n in range(4)
        for name, kind in (("Platform", "Enterprise"), ("Analytics", "Unlimited"), ("Service", "Performance"))
    ]
    return World(
        _people(fake), contracts, entries, _products(chance, contracts), _companies(fake, chance, companies)
    )


def _people(fake: Faker) -> list[Person]:
    people = []
    for number in range(8):
        first, last = fake.first_name(), fake.last_name()
        people.append(
            Person(
                first,
                last,
                f"{first}.{last}.{number}@partner.example".lower(),
                f"fed-{number:04d}-{last.lower()}",
                # One left before the target org was set up, one has no active account there.
                in_target=number != 7,
                active_in_target=number != 6,
            )
        )
    return people


def _contracts(chance: random.Random) -> list[Contract]:
    years = (2012, 2014, 2016, 2018, 2020, 2023)
    return [
        Contract(
            f"{'OEM' if n % 3 == 1 else 'ISVforce'} Agreement {year}",
            "OEM" if n % 3 == 1 else "ISVforce",
            _CURRENCIES[0] if n < 3 else chance.choice(_CURRENCIES),
            cancellation=n % 2 == 0,
            length=n % 3 != 2,
            renewal=n % 4 != 3,
            status="Active" if n > 1 else "Inactive",
        )
        for n, year in enumerate(years)
    ]


def _products(chance: random.Random, contracts: list[Contract]) -> list[Product]:
    products = []
    for number in range(len(contracts) * 6):
        contract, line = divmod(number, 6)
        pricing = ("FIXED", "PNR", "FIXED", "PNR", "LIST", "FIXED")[line]
        products.append(
            Product(
                contract,
                f"{('Order Desk', 'Field Kit', 'Ledger', 'Insight', 'Connector', 'Archive')[line]} {contract + 1}",
                f"P-{contract + 1:02d}-{line + 1:03d}",
                pricing,
                round(chance.uniform(5, 900), 2) if pricing == "FIXED" else None,
                round(chance.uniform(1, 20), 2) if pricing == "PNR" else None,
                float(chance.choice((15, 20, 25))) if pricing == "PNR" else None,
                chance.choice(("User", "Org", "Custom")),
                chance.randrange(12),
                # The last product was retired before the target's catalog was refreshed.
                in_target=number != len(contracts) * 6 - 1,
            )
        )
    return products


def _companies(fake: Faker, chance: random.Random, count: int) -> list[Company]:
    """Faker is slow: a pool of parts, combined."""
    lasts = [fake.last_name() for _ in range(120)]
    cities = [(fake.street_address(), fake.city(), fake.state_abbr(), fake.postcode()) for _ in range(150)]
    kinds = (
        "Systems",
        "Logistics",
        "Foods",
        "Energy",
        "Labs",
        "Holding",
        "Partners",
        "Medical",
        "Retail",
        "Software",
    )
    forms = ("Inc.", "GmbH", "Ltd", "AB", "SA", "LLC", "KK", "Pty")
    companies = []
    for number in range(count):
        street, city, state, postal = chance.choice(cities)
        name = f"{chance.choice(lasts)} {chance.choice(kinds)} {number + 1} {chance.choice(forms)}"
        companies.append(Company(name, street, city, state, postal, chance.choice(_COUNTRIES)))
    return companies
