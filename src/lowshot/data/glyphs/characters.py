"""The classes: characters that a person can tell apart, by script.

The list is the output of ``lowshot.data.glyphs.distinct``; the tests compute a part of it again.
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
"""The characters of each script, by code point."""

MAX_CLASSES = sum(map(len, SCRIPTS.values()))


def choose(classes: int) -> list[str]:
    """Return the first ``classes`` characters of an order that takes from every script in proportion to its size.

    Any number of classes is thus a similar mixture, and a larger number includes the classes of a smaller one.

    Raises:
        InputError: There are not so many characters.
    """
    if classes > MAX_CLASSES:
        raise InputError(
            f"{classes} glyph classes were asked for: there are {MAX_CLASSES}, set classes to at most that"
        )
    ordered = [
        ((rank + 0.5) / len(characters), character)
        for characters in SCRIPTS.values()
        for rank, character in enumerate(characters)
    ]
    return [character for _, character in sorted(ordered)][:classes]
