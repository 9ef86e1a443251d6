"""The classes: characters that a person can tell apart, by script.

Found by ``lowshot.data.glyphs.distinct``, which says how, and printed by it; the tests find a part of it again.
"""

from __future__ import annotations

from types import MappingProxyType

from lowshot.errors import InputError

SCRIPTS = MappingProxyType(
    {
        "signs": ("$0123679¢¤₠₢₧₭₰₲₳₸₹₺Ⅎ"),
        "latin": (
            "ACDEFGKLMNPQRTUVWYZabdjkmnqrxÆÞßæøŋŒƁƂƃƄƆƈƊƌƑƔƕƙƛƝƣƤƦƧƩƭƴƸƺƼǝǥǶȠȡȢȤȵȶȸȹȼȽȾȿɀɁɂɃɆɇɍɎɏɕɘɛɝɮɰ"
            "ɷɸɹɻʁʉʍʎʑʕʘʞʤʪʫʬʭʮᴆᴌᴑᴒᴓᴖᴗᴚᴝᴞᴟᵽⱠⱣⱤⱨⱪꜨꜱꜹꜽꝆꟻꟽ"
        ),
        "greek": ("ͰͲͶͼͽΔΞΨΩαζμνξρςστϏϗϞϠϺϻϼ"),
        "cyrillic": ("ЋЏЖЛФЪЫЭЮденцчяљѢѤѫѬѰҐҔҙҠҢҥҧҰҳҶҺӌӡӶԔꙖ"),
        "armenian": ("ԱԲԴԵԶԷԸԻԾՀՁՂՅՆՇՉՊՋՎՏՑՒՔՖըթխմնչջրֆ"),
        "lao": ("ກຂຄຈຊຍດຕທນຜຝພມຢຣລວສຮຯະາ"),
        "georgian": ("ႠႣႤႥႦႧႪႫႮႯႰႲႵႶႸႺႻႼႿჂჃჄჅადეზკლოჟრუფღჯჲჳჷჸⴀⴂⴃⴅⴆⴋⴍⴏⴐⴘⴙⴜⴝⴞⴟⴢⴤⴥ"),
    }
)
"""Script → its characters, by code point."""

MAX_CLASSES = sum(map(len, SCRIPTS.values()))


def choose(classes: int) -> list[str]:
    """The first ``classes`` characters of an order that takes from every script in proportion to its size.

    So any number of classes is a like mixture, and a larger number adds classes and keeps those of a smaller one.

    Raises:
        InputError: there are not so many.
    """
    if classes > MAX_CLASSES:
        raise InputError(
            f"{classes} glyph classes were asked for: there are {MAX_CLASSES}, set classes to at most that"
        )
    places = [
        ((rank + 0.5) / len(characters), character)
        for characters in SCRIPTS.values()
        for rank, character in enumerate(characters)
    ]
    return [character for _, character in sorted(places)][:classes]
