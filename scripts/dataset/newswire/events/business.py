"""Events of the business section."""

from scripts.dataset.newswire.event import Event, Section

SECTION = Section(
    events=(
        Event(
            "acquisition",
            "BUSINESS",
            styles=(
                (
                    "{company} [agreed|said it has agreed] to buy rival {rival} for {fortune} in {payment}.",
                    "{company} to buy {rival} for {fortune}",
                ),
                (
                    "{rival} [accepted|took] an offer of {fortune} in {payment} from {company}.",
                    "{rival} accepts {fortune} offer from {company}",
                ),
                (
                    "A deal worth {fortune} in {payment} will [hand|give] {rival} to its larger rival {company}.",
                    "{fortune} deal hands {rival} to {company}",
                ),
            ),
            details=(
                "Shares of {rival} [rose|jumped] {percent} after the news.",
                "{company} will keep {count} of the {rival} stores open.",
            ),
            choices={"payment": ("cash", "stock", "cash and stock")},
        ),
        Event(
            "layoffs",
            "BUSINESS",
            styles=(
                (
                    "{company} will [cut|drop] {crowd} jobs in {place} as {reason} [hurts|weighs on] the business.",
                    "{company} to cut {crowd} jobs in {place}",
                ),
                (
                    "Workers in {place} [learned|were told] that {reason} will cost {crowd} of them their "
                    "jobs at {company}.",
                    "{place} loses {crowd} jobs at {company}",
                ),
                (
                    "Blaming {reason}, the firm {company} [announced|confirmed] the loss of {crowd} jobs in {place}.",
                    "{company} blames {reason} for {crowd} job losses",
                ),
            ),
            details=(
                "The step saves {money} a year, chief executive {person} [said|told staff].",
                "{person}, the chief executive, [called|described] the step as painful.",
            ),
            choices={"reason": ("weak demand", "high fuel prices", "cheap imports", "falling orders", "rising rents")},
        ),
        Event(
            "earnings",
            "BUSINESS",
            styles=(
                (
                    "{company} [reported|posted] a profit of {money} in the {quarter} quarter, {change} {percent}.",
                    "{company} profit {change} {percent} in {quarter} quarter",
                ),
                (
                    "With results {change} {percent}, {company} [made|earned] {money} in the {quarter} quarter.",
                    "{company} earns {money} in {quarter} quarter",
                ),
                (
                    "Chief executive {person} [presented|unveiled] a {quarter} quarter profit of {money}, "
                    "{change} {percent}, at {company}.",
                    "{person.last} presents {money} profit at {company}",
                ),
            ),
            details=(
                "{person}, who has led {company} for {years}, [expects|sees] more growth abroad.",
                "New stores [helped|lifted] the results, said {person}, head of {company}.",
            ),
            choices={"quarter": ("first", "second", "third", "fourth"), "change": ("up", "down")},
        ),
        Event(
            "plant",
            "BUSINESS",
            styles=(
                (
                    "{company} will [build|open] a {product_kind} plant in {place} at a cost of {money} and "
                    "hire {crowd} people.",
                    "{company} to build {money} {product_kind} plant in {place}",
                ),
                (
                    "{place} [won|landed] a {product_kind} plant from {company} that costs {money} and will "
                    "employ {crowd} people.",
                    "{place} wins {company} {product_kind} plant",
                ),
                (
                    "Some {crowd} people will [find|get] work in {place} at a {product_kind} plant that "
                    "{company} builds for {money}.",
                    "{product_kind} plant to bring {crowd} jobs to {place}",
                ),
            ),
            details=(
                "Work [starts|begins] in {soon}, project head {person} said.",
                "{person} of {company} [thanked|praised] local leaders for their help.",
            ),
            choices={"product_kind": ("battery", "paper", "tire", "glass", "chip", "cement")},
        ),
    ),
    asides=(
        "Analyst {other_person} had [expected|forecast] a figure of {other_money}.",
        "Shares of {other_rival} [fell|slipped] {other_percent} on the same day.",
        "A year ago {other_rival} closed {other_count} shops in {other_place}.",
        "Investor {other_person} sold a stake of {other_percent} last month.",
        "[Separately|Meanwhile], {other_rival} moved its office to {other_place}.",
    ),
)
