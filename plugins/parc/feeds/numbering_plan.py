"""The `numbering_plan` feed: which geographic number block belongs where."""

from parc.feeds.declaration import DEPARTMENT, Column, Feed, Form, Keeping, Retention, Type

# The regions of the seed `regions`, and the one outside PARC.
REGIONS_2012 = (
    "Alsace",
    "Aquitaine",
    "Auvergne",
    "Basse-Normandie",
    "Bourgogne",
    "Bretagne",
    "Centre",
    "Champagne-Ardenne",
    "Corse",
    "Franche-Comté",
    "Guadeloupe",
    "Guyane",
    "Haute-Normandie",
    "La Réunion",
    "Languedoc-Roussillon",
    "Limousin",
    "Lorraine",
    "Martinique",
    "Mayotte",
    "Midi-Pyrénées",
    "Nord-Pas-de-Calais",
    "Pays de la Loire",
    "Picardie",
    "Poitou-Charentes",
    "Provence-Alpes-Côte d'Azur",
    "Rhône-Alpes",
    "Saint-Pierre-et-Miquelon",
    "Île-de-France",
)

NUMBERING_PLAN = Feed(
    name="numbering_plan",
    grain="One row per number block (national prefix) of a snapshot.",
    keeping=Keeping.SNAPSHOTS,
    columns=(
        Column(
            "prefix",
            Type.TEXT,
            "National prefix of the block, leading zero included.",
            form=Form("0[0-9]{3,5}", "a national prefix of 4 to 6 digits with its leading zero"),
        ),
        Column("operator_code", Type.TEXT, "Operator the block is assigned to.", nullable=True, is_code=True),
        Column(
            "zne_insee",
            Type.TEXT,
            "INSEE code of the chief town of the block's elementary numbering zone; null = not located.",
            nullable=True,
            form=Form(
                "2[AB][0-9]{3}|[0-9]{5}",
                "an INSEE commune code",
                spellings=(("^(2[AB][0-9]{3})$", "${1}"), ("^([1-9][0-9]{3})$", "0${1}")),
            ),
        ),
        Column("zne_name", Type.TEXT, "Name of that town.", nullable=True),
        Column(
            "department_code",
            Type.TEXT,
            "Department of that town; `20` = either department of Corse.",
            nullable=True,
            form=DEPARTMENT,
        ),
        Column(
            "region_2012",
            Type.TEXT,
            "Name of its region of 2012.",
            nullable=True,
            one_of=REGIONS_2012,
            any_case=True,
        ),
    ),
    key=("prefix",),
    retention=Retention(
        400,
        "As long as the calls that it governs. Each snapshot has 18,000 rows here and as many in "
        "routing_prefixes.",
    ),
    governs=("calls",),
)
