"""Events of the politics section."""

from scripts.dataset.newswire.event import Event, Section

SECTION = Section(
    events=(
        Event(
            "election",
            "POLITICS",
            styles=(
                (
                    "{person} [won|took|captured] the race for {office} of {place} with {support} of the vote.",
                    "{person.last} wins {place} {office} race with {support}",
                ),
                (
                    "Voters in {place} [chose|picked] {person} as their {office} on {day} with {support} of the vote.",
                    "{place} voters elect {person.last} as {office}",
                ),
                (
                    "With {support} of the vote, {place} [has a new {office}|elected a new {office}] in {person}.",
                    "{support} back {person.last} for {office} in {place}",
                ),
            ),
            details=(
                "{person.last} [promised|pledged] to lower {tax} taxes within {soon}.",
                "The result [ends|follows] a bitter campaign in which {person.last} spent {money}.",
            ),
            choices={
                "office": ("mayor", "governor", "senator", "sheriff"),
                "day": ("Sunday", "Monday", "Tuesday"),
                "tax": ("property", "sales", "fuel"),
            },
        ),
        Event(
            "budget",
            "POLITICS",
            styles=(
                (
                    "The {place} council [approved|passed] {money} for {cause} after Mayor {person} "
                    "[asked|pressed] for it.",
                    "{place} council approves {money} for {cause}",
                ),
                (
                    "Mayor {person} [signed|put a name to] a plan that gives {place} {money} for {cause}.",
                    "Mayor {person.last} signs {money} plan for {cause}",
                ),
                (
                    "Some {money} will go to {cause} in {place} under a budget [set out|drafted] by Mayor {person}.",
                    "{money} to go to {cause} in {place}",
                ),
            ),
            details=(
                "The plan [adds|brings] {count} jobs and runs for {soon}.",
                "{person.last} said the money would [last|carry the town] for {soon}.",
            ),
            choices={"cause": ("schools", "road repairs", "housing", "parks", "flood defenses", "police")},
        ),
        Event(
            "resignation",
            "POLITICS",
            styles=(
                (
                    "{person}, the {office} of {country}, [resigned|stepped down] over {affair} after "
                    "{years} in office.",
                    "{country} {office} {person.last} resigns over {affair}",
                ),
                (
                    "In {country}, {affair} [forced out|brought down] the {office}, {person}, after {years} in office.",
                    "{affair} brings down {person.last} in {country}",
                ),
                (
                    "After {years} in office, the {office} of {country}, {person}, [quit|left] over {affair}.",
                    "After {years}, {country} {office} {person.last} quits",
                ),
            ),
            details=(
                "{person.last} [denied|rejected] any wrongdoing in a letter to party members.",
                "A poll had [put|placed] support for {person.last} at {support}.",
            ),
            choices={
                "office": ("finance minister", "prime minister", "health minister", "defense minister"),
                "affair": ("a loan scandal", "leaked messages", "a tax inquiry", "an expenses row"),
            },
        ),
        Event(
            "bill",
            "POLITICS",
            styles=(
                (
                    "Lawmakers in {country} [passed|backed] a ban on {thing} [proposed|put forward] by {person}.",
                    "{country} lawmakers pass ban on {thing}",
                ),
                (
                    "{person} [saw|watched] a ban on {thing} clear parliament in {country} [on {day}|by "
                    "{count} votes].",
                    "{person.last} bill to ban {thing} clears {country} parliament",
                ),
                (
                    "{thing} will be [banned|outlawed] in {country} under a bill by {person} that "
                    "[passed|cleared] parliament.",
                    "{thing} to be banned in {country}",
                ),
            ),
            details=(
                "{person.last} said {support} of families had [asked for|wanted] the change.",
                "The law takes [effect|force] in {soon}, and fines can reach {money}.",
            ),
            choices={
                "thing": (
                    "plastic bags",
                    "night flights",
                    "online betting",
                    "diesel vans",
                    "fur sales",
                    "school phones",
                ),
                "day": ("Wednesday", "Thursday", "Friday"),
            },
        ),
    ),
    asides=(
        "[Separately|Meanwhile], {other_person} will run in {other_place} next spring.",
        "Critics led by {other_person} wanted a limit of {other_percent}.",
        "A similar vote in {other_place} failed by {other_count} votes.",
        "Former aide {other_person} now works in {other_country}.",
        "An earlier proposal from {other_person} would have cost {other_money}.",
    ),
)
