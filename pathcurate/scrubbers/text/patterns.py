"""What identifies by its shape or by the label before it, as one table of rules.

Every rule searches a text in half width (:func:`pathcurate.text.folding.half_width`). ``\\b`` is of no use here: between a
Han character and a digit it does not fire. A pattern begins with a character, not with what may not stand before it, because
the search for a first character is ten times as fast; the look-behind stands after it. Every repetition is bounded, so that
a hostile text takes no longer than another of its length.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from pathcurate.model.removal import Kind
from pathcurate.scrubbers.text import accepting
from pathcurate.text.beginnings import Searched

_Match = re.Match[str]


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which an identifier is written.

    Attributes:
        name: ``label.…`` if a label says what it is, else ``shape.…``.
        kind: what it is.
        pattern: with a group ``v``, what is removed.
        needs: of these the text must hold one, else the pattern is not tried; for one that may begin nearly anywhere.
        accepts: the place to remove, None if there is none after all; without it, the group.
        is_list: whether more numbers may follow, with a comma between them.
        is_lower: whether text and needs are in lower case.
    """

    name: str
    kind: Kind
    pattern: Searched | re.Pattern[str]
    needs: tuple[str, ...] = ()
    accepts: Callable[[_Match], tuple[int, int] | None] | None = None
    is_list: bool = False
    is_lower: bool = False


_R = r"(?![0-9A-Za-z])"
# Between label and value: a remark in brackets, a colon, a bracket, the end of a table's cell.
_SEP = (
    r"[ ]{0,4}(?:[(\[][^()\[\]\n0-9]{1,8}[)\]][ ]{0,2})?(?:[:=#]{1,2}|[为是系](?=[ :]{0,2}[0-9A-Za-z])|[Nn][Oo][.:]?|"
    r"-(?=[ ]))?"
    r"[ ]{0,6}(?:[|\n][ ]{0,6}){0,2}[(\[\"'#<]{0,2}[ ]{0,2}"
)
# Spaces inside a number, as OCR sees them, but none before a date, an age or a count.
_GAP = (
    r"[ ](?=[0-9]{2,}+(?![ ]?(?:岁|周岁|张|块|枚|个|片|份|例|年|月|日|床|时|cm|mm|ml|CM|MM|[%×x.:/]|[-~][0-9]{1,2}[-/]|"
    r"-year)))"
    r"(?!(?:19|20)[0-9]{6}(?![0-9]))"
)
_VALUE = (
    r"(?P<v>(?>(?:[病冰细会尸活外检县市省](?=[0-9A-Z]))?(?:(?:[A-Z]{2,8}[-_])?[A-Za-z]{1,8}[-_]?|"
    r"[A-Z]{1,3}[ ])?[0-9*][0-9A-Za-z*]{0,40}"
    r"(?:(?:[ ]?[-_/#·][ ]?(?=[0-9A-Za-z*])|\.(?=[0-9])|" + _GAP + r")[0-9A-Za-z*]{1,40}){0,8}))(?![年岁])"
)
MORE = re.compile(
    r"[ ]?(?:[、,/;~&+]|和|及|与|至|或)[ ]?"
    + _VALUE.replace(_GAP, "(?!)").replace("|[A-Z]{1,3}[ ]", "")
    + r"(?![ ]?(?:张|块|枚|个|片|例|[a-zA-Z%μ]))"
)
"""Behind one number, the next."""
_LABEL_ENDS = (
    r"(?:号码?|条码|条形码|二维码|身份证|护照|证|卡|I(?<![A-Za-z]I)[Dd](?![A-Za-z])|i(?<![A-Za-z]i)[Dd](?![A-Za-z])|"
    r"N(?<![A-Za-z]N)[oO][.:]|№|"
    r"工牌|胸牌|保单|运单|快递单|顺丰|医保|合同|理赔|报案|住院|门诊|病案|病历|登记|就诊|病理|切片|玻片|蜡块|标本|活检|冰冻"
    r"|细胞学?|会诊|外检|"
    r"石蜡|白片|[押收借欠]条|收据|押金条|凭证)"
)
_NO_WORD = r"(?![\u4e00-\u9fff](?<![为是系]))"  # told at once where the label is a word of the sentence
_HAN_DIGIT = "[〇零○洞一二三四五六七八九幺两拐勾壹贰叁肆伍陆柒捌玖]"
_PHONE_LABELS = (
    r"(?:电[ ]{0,2}话|手[ ]{0,2}机|联系方式|传真|热线|座机|分机|内线|致电|拨打|来电|短号|总机|小灵通|電話|手機|傳真|呼叫"
    r"器|寻呼|宅电|BP机|传呼|[Vv]网|☎|☏|📞|"
    r"固话|专线|军线|虚拟网|集群网?(?=[ :]{0,2}[0-9])|小号(?=[ :]{0,2}[0-9])|短(?=[ :]{0,2}6[0-9]{4,5}(?![0-9.]))|"
    r"电联|客服|办公(?=室?电|[ ]?[0-9])|联系(?=[ :]{0,2}[0-9])|"
    r"Tel|TEL|tel|Telephone|Phone|PHONE|phone|Fax|FAX|fax|Mobile|MOBILE|mobile|Cell(?=[ ]?(?:phone|no|#|:))|"
    r"cell(?=[ ]?(?:phone|no|#|:))|Pager|pager|"
    r"Ext|ext)"
)
_DEPARTMENT = accepting.DEPARTMENT
_WARD = (
    r"(?:[一-鿿]{2,8}(?:科|病区|病房)[ -]{0,2}|[一-鿿]{1,3}[外内妇儿][ -]?(?=[0-9+])|[0-9一二三四五六七八九十]{1,3}病?区["
    r" -]?)?"
)
_BED = rf"(?:{_DEPARTMENT}-?)?(?:[A-Z]{{1,4}}[- ]?)?[+加]?[0-9]{{1,4}}[A-Zl]?(?:[-+][0-9]{{1,3}})?"
_CASE_SUFFIX = (
    r"(?:(?!/[0-9]{2,4}-[0-9]{3})[-#/]?(?:(?<=-)[A-Z]{3,4}|[A-Za-z]{1,2}[0-9]{0,3}|[0-9]{1,3})"
    r"(?:-[0-9]{1,3})?(?![0-9A-Za-z]))?"
)
_PROVINCE_SIGNS = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使领"


def _rule(
    name: str,
    kind: Kind,
    pattern: str,
    *needs: str,
    accepts: Callable[[_Match], tuple[int, int] | None] | None = None,
    is_list: bool = False,
) -> Rule:
    return Rule(name, kind, Searched(pattern), needs, accepts, is_list)


def _english(name: str, kind: Kind, labels: str, value: str, *needs: str, least: int = 3) -> Rule:
    """A rule for an English label: written in lower case, tried on the text in lower case."""
    pattern = rf"(?:{labels}){value}"
    return Rule(name, kind, re.compile(pattern), needs, accepting.english(least), is_list=True, is_lower=True)


_NO = r"[ ]?(?:no|nos|number|numbers|num|nbr|nr|id|ids|i\.d|identifier|code|[#№])"
_EN_SEP = (
    r"(?![a-z])[ ]{0,3}(?:\(s\)|\([a-z #.]{1,12}\))?[ ]{0,2}"
    r"(?:is|was|of)?[ ]{0,2}[.:#=]{0,3}[ ]{0,6}(?:\n[ ]{0,4})?[#(\[]{0,2}"
)
_EN_VALUE = (
    r"(?P<v>(?>(?:[a-z]{1,5}[- ]?)?[0-9*x][0-9a-z*]{0,30}"
    r"(?:[-_/][0-9a-z*]{1,20}|[ ][0-9]{2,5}(?![0-9a-z/%.:]|[ ]?(?:year|y/o|yo|mm|cm|x[ ]))){0,6}))(?![0-9a-z])"
)

_PHONES = (
    _rule("label.phone", Kind.PHONE,
          _PHONE_LABELS + r"(?:号码?|[ ]?(?:no|No|NO|number|Number|#)|转)?"
          r"[.]?[ ]{0,4}(?:[(\[][^()\[\]\n0-9]{1,8}[)\]])?[ ]{0,2}[:=#|为是]{0,2}"
          r"[ ]{0,6}\n?[ ]{0,4}(?:(?:随访|回访|告知|通知|联系|[本家][人属])\(?)?(?P<v>(?:(?:\+|\((?=[0-9+]{1,5}\)))?[0-9*"
          r"])(?>[0-9*□■]{0,20}"
          r"(?:(?:[ ]?[-()][ ]?|--|[. ])(?=[0-9*(□■])(?:\((?=[0-9]{1,5}\)))?[0-9*□■]{1,12}"
          r"(?:[xX]{2,4}[0-9]{0,2})?(?:\)(?=[ -]?[0-9]))?){0,6})"
          r"(?:[ ]?(?:转|ext\.?|x|-|#)[ ]?[0-9]{1,6}(?:(?:-|转)[0-9]{1,4})?#?)?)(?![年月岁])",
          "电", "手", "联系", "電", "傳", "客服", "呼", "传真", "热线", "机", "线", "网", "短", "小号", "集群",
          "灵通", "固话", "办公", "☎", "☏", "📞", "拨打", "el", "hone", "ax",
          "EL", "HONE", "AX", "obile",
          "OBILE", "ell", "ager", "xt", accepts=accepting.labelled_phone, is_list=True),
    _rule("label.phone_spaced", Kind.PHONE,
          r"(?:电话|手机|来电|座机|固话|宅电|传真|热线|联系|電話|手機)(?:号码?)?[ ]{0,2}[:(]?[ ]{0,3}"
          r"(?P<v>[0-9](?:[ ]{0,3}-?[ ]{0,3}[0-9*]){6,14})(?![0-9]|[ ]?[年月岁.])", accepts=accepting.written_digits),
    _rule("shape.phone_spaced", Kind.PHONE,
          r"(?P<v>[01](?<![0-9A-Za-z.+-][01])(?<![0-9][ -][01])(?:(?<=0)[ -]{1,3}1)?[ -]{0,3}[3-9](?:[ -]{0,3}[0-9]){9})"
          + _R + r"(?!\.[0-9]|[ -][0-9])",
          " ", "-", accepts=accepting.phone_spaced),
    _rule("shape.phone_han", Kind.PHONE,
          rf"(?P<v>[一幺壹](?<!{_HAN_DIGIT}[一幺壹])[三四五六七八九拐勾叁肆伍陆柒捌玖](?:[ ,-]?{_HAN_DIGIT}){{9}})"
          rf"(?!{_HAN_DIGIT})",
          "一", "幺", "壹",
          accepts=accepting.written_digits),
    _rule("label.phone_office", Kind.PHONE,
          r"(?:电话|致电|拨打|打给)[ ]?[一-鿿]{1,6}[科室站部处台][ (]{0,2}"
          r"(?P<v>[1-9][0-9]{3,7})(?![0-9A-Za-z:年月日例张块份]|[.-][0-9])",
          "电话", "致电", "拨打", "打给"),
    _rule("label.phone_han", Kind.PHONE,
          rf"(?:电话|手机|来电|座机|固话|宅电|热线|联系|電話)(?:号码?)?[是为]?[ ]{{0,2}}[:(]?[ ]{{0,2}}(?P<v>{_HAN_DIGIT}"
          rf"(?:{_HAN_DIGIT}{{2,7}}转[一-鿿]{{2,4}}(?=[,;。)\n]|$)|(?:[ -]?{_HAN_DIGIT}){{3,15}}))",
          accepts=accepting.written_digits),
    _rule("shape.mobile", Kind.PHONE,
          r"(?P<v>1[3-9](?:[0-9]-[0-9]{4}-[0-9]{3}(?![0-9])|[0-9*][ .·_/一-]?[0-9*]{4}[ .·_/一-]?[0-9]{4}|"
          r"[0-9]{2}[ -][0-9]{3}[ -][0-9]{4}|"
          r"[0-9][ -][0-9]{3}[ -][0-9]{5}|[0-9]{5}[ -][0-9]{4}))"
          r"(?![0-9]|\.[0-9])", "1", accepts=accepting.dialled),
    _rule("shape.mobile_misread", Kind.PHONE,
          r"(?P<v>[1lI](?<![0-9A-Za-z.-][1lI])[3-9][0-9oOlI](?:[ -]?[0-9oOlI]{4}){2}|"
          rf"1[3-9](?<![0-9A-Za-z.-]1[3-9])(?:[ -]?(?:[0-9]|{_HAN_DIGIT})){{9}}|"
          r"0(?<![0-9A-Za-z.-]0)(?:10|2[0-9]|[3-9][0-9]{2})[ -]{1,2}[2-8][0-9oOlI]{2,3}[ -]?[0-9oOlI]{4})" + _R,
          accepts=accepting.misread),
    _rule("shape.mobile_grouped", Kind.PHONE,
          r"(?P<v>1(?<![0-9A-Za-z.*+-]1)(?<![0-9][ -]1)[3-9][0-9]{1,6}(?:[ -][0-9]{3,8}){1,3})" + _R + r"(?!\.[0-9]|"
          r"[ -][0-9])",
          " ", "-", accepts=accepting.mobile_grouped),
    _rule("shape.phone_switch", Kind.PHONE,
          r"(?P<v>[2-8](?<![0-9A-Za-z.-][2-8])[0-9]{3,7}转[0-9]{2,5})(?![0-9]|[ ]?[年月日例个张床科号])", "转"),
    _rule("shape.landline", Kind.PHONE,
          r"(?P<v>0(?<![0-9A-Z]0)(?:10|2[0-9]|[3-9][0-9]{2})(?:\)[ -]?|[ ]?[-一—~_·./][ ]?|[ ]|"
          r"(?=[2-8][0-9]{6}))(?:[2-8][0-9*□]{2,3}["
          r" 一-]?(?:[0-9*□]{4}|[0-9][ ]?[*]{3}|(?<=[ -][0-9]{4}[ -])[0-9]{3})|[2-8][ ][0-9]{3}[ ][0-9]{3,4})"
          r"(?:[ ]?(?:转|-|ext\.?)[ ]?[0-9]{1,6}(?:-[0-9]{1,4})?)?)" + _R + r"(?!\.[0-9])", "0", accepts=accepting.dialled),
    _rule("shape.hotline", Kind.PHONE,
          r"(?P<v>[48](?<![0-9A-Za-z.-][48])00(?:[ -]?[0-9]{3}[ -]?[0-9*xX]{4}|[ -][0-9]{4}[ -][0-9]{3}"
          r"|[0-9]-[0-9]{3}-[0-9]{3,4}))" + _R,
          "400", "800"),
    _rule("shape.extension", Kind.PHONE,
          r"(?:(?:医[生师]|老师|主任|大夫|护士站?|值班|[遍次]了?)\(|或打|[一二三]线[一-鿿]{1,3}[ ])(?P<v>[2-8][0-9]{3,4})"
          r"(?=[ ]?[),;。]|$)", "(", "打", "线"),
    _rule("shape.extension_last", Kind.PHONE,
          r"(?:[一-鿿]科|值班室?|护士站|(?:送检|联系|"
          r"经办)[人者]:?[ ]?[一-鿿]{2,3})[ ]{1,2}(?P<v>[2-8][0-9]{3,4})(?=[ ]*(?:\n|$))",
          "科 ", "班 ", "室 ", "站 ", "人", "者"),
    _rule("shape.phone_called", Kind.PHONE,
          r"(?:(?:打|拨(?:打)?|呼(?:叫)?|致电|回电|回拨|转拨|电话打到[一-鿿]{0,5}|电话通知[一-鿿]{0,5})[了过通]?"
          r"|(?:病房|护士站|办公室|值班室?|手术室|手术间|分诊台|导诊台|前台|窗口|科里|科室|台上))[ ]?"
          r"(?P<v>[2-9][0-9]{2,7}|[2-9]-[0-9]{4})(?=[ ]?(?:告知|通知|给|找|联系|无人|没人|不通|忙线|占线|问|催|回话|转告|叫"
          r"|报告|来电|接听|一直|总是|[两三几][遍次]|[,，。;)\n]|$))",
          "打", "拨", "呼", "电", "病房", "护士站", "办公室", "值班", "手术", "科里", "科室", "台", "窗口"),
    _rule("shape.phone_us", Kind.PHONE,
          r"(?P<v>[2-9](?<![0-9A-Za-z.*+/-][2-9])[0-9]{2}(?:\)[ ]?|[ ]?[.-][ ]?|[ ])"
          r"[2-9][0-9]{2}[ .-][0-9]{4}(?:,?[ ]?(?:x|ext\.?|extension)[ ]?[0-9]{1,6})?)"
          + _R + r"(?!\.[0-9])", accepts=accepting.dialled),
    _rule("shape.phone_uk", Kind.PHONE,
          r"(?P<v>0(?<![0-9A-Za-z.*+/-]0)(?:[0-9]{2}\)?[ ][0-9]{4}[ ][0-9]{4}|"
          r"[0-9]{3,4}\)?[ ][0-9]{3}[ ]?[0-9]{3,4}))" + _R, "0",
          accepts=accepting.dialled),
    _rule("shape.phone_abroad", Kind.PHONE,
          r"(?P<v>\+(?<![0-9A-Za-z+]\+)[1-9][0-9]{0,2}(?:[ .-]?\(?[0-9]{1,5}\)?){2,6})" + _R,
          "+", accepts=accepting.phone_abroad),
)  # fmt: skip
_NETWORK = (
    _rule("shape.email", Kind.EMAIL,
          r"(?P<v>[A-Za-z0-9._%+#-](?<![A-Za-z0-9._%+#-]{2})[A-Za-z0-9._%+#-]{0,63}[ ]?(?:@|\((?:at|AT)\)|\[(?:at|AT)\])[ ]?"
          r"[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,5}\.[A-Za-z]{2,10})(?![A-Za-z0-9])", "@", "(at)", "(AT)", "[at]",
          "[AT]"),
    _rule("shape.url", Kind.URL,
          r"(?P<v>[A-Za-z](?<![A-Za-z0-9]{2})(?:[A-Za-z]{2,8}://[^\s,，。；;、()\u4e00-\u9fff\ue000\[\]\"'<>|]{2,2000}|"
          r"(?:(?<=w)ww|(?<=W)WW)\.[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6}"
          r"(?:/[^\s,，。；;()\u4e00-\u9fff\ue000\[\]]{0,2000})?))",
          "://", "www.", "WWW.", accepts=accepting.unstopped),
    _rule("shape.domain", Kind.URL,
          r"(?P<v>(?:[A-Za-z0-9](?<![A-Za-z0-9@._-]{2})[A-Za-z0-9-]{1,62}\.)(?:[A-Za-z0-9-]{1,62}\.){0,4}"
          r"(?:com|cn|org|net|edu|gov|mil|hospital|health|info)(?:\.(?:cn|hk|tw|uk|au))?(?::[0-9]{2,5})?"
          r"(?:/[^\s,，。；;()\u4e00-\u9fff\ue000\[\]]{0,2000})?)(?![A-Za-z]|[0-9](?![0-9]{3}))",
          ".com", ".cn", ".org", ".net", ".edu", ".gov", ".mil", ".hospital", ".health", ".info",
          accepts=accepting.unstopped),
    _rule("shape.ip", Kind.URL,
          r"(?P<v>[0-9](?<![0-9A-Za-z.][0-9])[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?::[0-9]{2,5})?)(?![0-9A-Za-z]|\.[0-9])", ".",
          accepts=accepting.ip),
    _rule("shape.mac", Kind.URL,
          r"(?P<v>[0-9A-Fa-f](?<![0-9A-Za-z:-]{2})[0-9A-Fa-f](?:[:-][0-9A-Fa-f]{2}){5})(?![0-9A-Za-z:-])",
          ":", "-"),
    _rule("shape.ipv6", Kind.URL,
          r"(?P<v>[0-9A-Fa-f](?<![0-9A-Za-z:]{2})[0-9A-Fa-f]{0,3}(?::{1,2}[0-9A-Fa-f]{1,4}){5,7})(?![0-9A-Za-z:])",
          ":"),
    _rule("shape.user_folder", Kind.URL,
          r"(?:[A-Za-z]:\\{1,2}Users\\{1,2}|[A-Za-z]:\\{1,2}Documents and Settings\\{1,2}|/h[o]me/|/U[s]ers/)"
          r"(?<![0-9A-Za-z]/h[o]me/)(?<![0-9A-Za-z]/U[s]ers/)(?P<v>[^\\/\s,，。;；]{1,64})", ":\\", "home/", "Users/"),
    _rule("label.messenger", Kind.ACCOUNT,
          r"(?:QQ|qq|扣扣|Q号|[Vv威]信|微信|WeChat|Wechat|wechat|WECHAT|VX|vx|wx|WhatsApp|Skype|钉钉|抖音|支付宝|小红书|快手|微博|B站|企微|飞书|陌陌|知乎|LINE|Line|KakaoTalk|Telegram|Instagram|腾讯会议|会议号)"
          r"(?:咨询|客服|预约|公众号|服务号|小程序|平台|联系|添加|加|发给?|转发?给?|告知|通知|了)?(?:群|账号|帐号|号码?|ID|id)?"
          r"[ ]{0,3}(?:号|ID)?[:=(\"“]?[ ]{0,3}(?P<v>[A-Za-z0-9_+-]{5,30}|"
          r"[0-9]{2,5}(?:[ -][0-9]{1,5}){1,4}|[0-9](?:[ ][0-9]){5,11})" + _R,
          "QQ", "qq", "扣扣", "Q号", "微信", "V信", "v信", "威信", "hat", "HAT", "VX", "vx", "wx", "kype", "钉钉", "抖"
          "音", "支付宝", "小红书", "快手", "微博", "B站", "企微", "飞书", "陌陌", "知乎", "LINE", "Line",
          "Kakao", "Telegram", "Instagram", "会议"),
    _rule("label.login", Kind.ACCOUNT,
          r"(?:登[录陆](?:账号|帐号|名)|用户名|(?:账号|帐号|账户)(?=[ :为是]{0,2}[A-Za-z]{2,20}[_0-9])|"
          r"(?:user(?:name)?|login|uid|operator)(?==))[ ]?[:为是=]?[ ]?"
          r"(?P<v>[A-Za-z][A-Za-z0-9_.-]{4,30})" + _R, "登录", "登陆", "用户名", "账", "帐",
          "user", "login", "uid=", "operator=", is_list=True),
    _rule("label.login_staff", Kind.ACCOUNT,
          r"(?:操作|扫描|录入|上传|登记|审核)[员者][ ]?[:=]?[ ]?(?!ndpi|tiff|mrxs|admin|root|system)"
          r"(?P<v>[a-z](?:[a-z0-9]{0,15}[._][a-z0-9]{1,15}|[a-z0-9]{3,15}))(?![0-9A-Za-z.])", "员", "者"),
    _rule("shape.messenger", Kind.ACCOUNT, r"(?P<v>wxid_[A-Za-z0-9_-]{4,30})", "wxid_"),
)  # fmt: skip
_DOCUMENTS = (
    _rule("shape.id18", Kind.ID,
          r"(?P<v>[1-9](?<![0-9A-Za-z.][1-9])[0-9]{5}[ -]?(?:18|19|20)[0-9]{2}[ -]?(?:0[1-9]|1[0-2])[ -]?"
          r"(?:0[1-9]|[12][0-9]|3[01])[ -]?[0-9]{3}[ -]?[0-9Xx])" + _R),
    _rule("label.id_spaced", Kind.ID,
          r"(?:证件?号?码?|号码|ID)" + _SEP + r"(?P<v>[0-9](?:[ -]{0,2}[0-9*]){13,17}(?:[ -]{0,2}[Xx])?)" + _R, "证",
          "号码", "ID"),
    _rule("shape.id_masked", Kind.ID,
          r"(?P<v>[0-9](?<![0-9A-Za-z.][0-9])[0-9]{2,9}[*xX]{4,14}[0-9]{0,4}[0-9Xx]?)(?![0-9A-Za-z*])",
          "*", "X", "x"),
    _rule("shape.id_hongkong", Kind.ID, r"(?P<v>[A-Z](?<![0-9A-Za-z]{2})[A-Z]?[0-9]{6}\([0-9A]\))",
          "(", accepts=accepting.hongkong),
    _rule("label.military", Kind.ID,
          r"(?P<v>(?!病|检|会|理|诊|片)[\u4e00-\u9fff](?<![病检会理诊片][一-鿿])(?<![证照件号为是])(?:[^\W0-9A-Za-z证照件"
          r"号为是]{0,2}"
          r"[^\W0-9A-Za-z证照件号为是病检会理诊片])?字第[ ]?[0-9]{5,8}号?)",
          "字第"),
    _rule("label.passport", Kind.ID,
          r"(?:护照|通行证|回乡证|台胞证|居住证|居留证|身份证|身分证|证件|HKID|[Pp]assport|PASSPORT)"
          r"(?:号码?|编号|[ ]?(?:no|No|NO|number|Number)\.?)?" + _SEP
          + r"(?P<v>[A-Z]{0,3}[ ]?[0-9]{6,10}(?:[ ]?\([0-9A-Z]\))?)(?![0-9])"),
    _rule("label.last_digits", Kind.ID,
          r"(?:尾号|尾数|[后末尾][三四五六3-6]位(?:数字|号码|数)?)[ ]?\(?(?:分别|依次|各)?[为是:]{0,2}[ ]?"
          r"(?P<v>[0-9]{3,6}[0-9Xx]?)" + _R, "尾号", "尾数", "位", is_list=True),
    _rule("label.certificate", Kind.ID,
          rf"(?:证|执照)(?:号码?|"
          rf"编号)?[ ]?[:(]?[ ]?(?P<v>[{_PROVINCE_SIGNS}军海空陆武警优荣残烈退老政士官][一-鿿]{{0,3}}[A-Z]{{0,2}}"
          r"(?:\([12][0-9]{3}\))?字?第?[ ]?[0-9]{4,12}(?:-[0-9]{1,6}){0,2}号?)(?![0-9年月])", "证", "执照"),
    _rule("shape.ssn", Kind.ID, r"(?P<v>[0-9*Xx](?<![0-9A-Za-z.*-]{2})[0-9*Xx]{2}-[0-9*Xx]{2}-[0-9]{4})(?![0-9A-Za-z-])",
          "-"),
    _rule("shape.plate", Kind.ACCOUNT,
          rf"(?P<v>[{_PROVINCE_SIGNS}][A-HJ-NP-Z][· .-]?(?:[A-HJ-NP-Z0-9]{{5}}挂|"
          rf"[A-HJ-NP-Z0-9]{{4}}[A-HJ-NP-Z0-9挂学警港澳急]|"
          rf"[DF][A-HJ-NP-Z0-9][0-9]{{4}}|"
          r"[0-9]{5}[DF]))" + _R, accepts=accepting.plate),
    _rule("shape.card", Kind.ACCOUNT,
          r"(?P<v>[2-6](?<![0-9A-Za-z.-][2-6])(?<![0-9][ -][2-6])[0-9]{3}(?:[ -][0-9]{4}){2,3}(?:[ -]?[0-9]{1,4})?)" + _R,
          " ", "-"),
    _rule("shape.organisation", Kind.ACCOUNT,
          r"(?P<v>[159NY](?<![0-9A-Za-z]{2})[0-9A-HJ-NPQRTUWXY][0-9]{6}[0-9A-HJ-NPQRTUWXY]{10})" + _R,
          accepts=accepting.organisation),
)  # fmt: skip
_NUMBERS = (
    _rule("label.number", Kind.NUMBER, _LABEL_ENDS + _NO_WORD + _SEP + _VALUE, accepts=accepting.labelled, is_list=True),
    _rule("label.serial", Kind.NUMBER,
          r"(?:序列|编|流水|唯一|识别|标识|查询|验证|提取|取件)[号码][ :]{0,3}(?P<v>[A-Z0-9-]{5,30})" + _R + r"(?!/[0-9]"
          r")", "号", "码",
          accepts=accepting.serial),
    _rule("label.pick_up", Kind.NUMBER,
          r"(?:取件|取报告|取片|领取|提取|查询|验证)码[ ]?[:为是]?[ ]?(?P<v>[0-9]{4,8})(?![0-9A-Za-z.%])", "码"),
    _rule("label.number_spaced", Kind.NUMBER,
          r"[号码單单][ ]{0,4}[:=]?(?:好像|大概"
          r"|可能)?[是为]?[ ]{0,4}(?P<v>(?:[A-Z][ ]{1,3}(?:-[ ]{1,3})?){0,2}(?:[0-9](?:[ ]{1,3}(?:-[ ]{1,3})?[0-9*]){3,20}|"
          r"[0-9]{2}(?:[ ][0-9]){2,4}[ ][0-9]{2}))(?![0-9]|[ ]?[年月岁"
          r".])", accepts=accepting.written_digits),
    _rule("label.number_han", Kind.NUMBER,
          rf"(?:号码?|住院|门诊|病理|登记)[是为]?[ ]{{0,2}}:?[ ]{{0,2}}(?P<v>[A-Z]{{0,2}}{_HAN_DIGIT}(?:[杠点-]?"
          rf"{_HAN_DIGIT}){{3,20}})"
          r"(?![一-鿿]?[年月日号床]|十)", accepts=accepting.written_digits),
    _rule("label.subject", Kind.NUMBER,
          r"(?:受试者|受试人|志愿者|筛选|入组|随机|中心|课题|队列)(?:编?号|代码|编码)?[ ]{0,2}:?[ ]{0,2}"
          r"(?P<v>(?:[A-Z]{1,4}-?[0-9]{2,8}|0[0-9]{1,6})(?:-[0-9]{2,6})?)(?![0-9A-Za-z.%/]|[ ]?[例名人岁年月日个组周天])"),
    _rule("label.ticket", Kind.NUMBER,
          r"(?:取号条|排队号|叫号|号条|号牌|手环|腕带|脚环|[一-鿿]标贴)(?:号|编号)?[ ]{0,2}:?[ ]{0,2}"
          r"(?P<v>[A-Z]{0,3}-?[0-9]{2,10})(?![0-9A-Za-z.%年月])"),
    _rule("label.tag", Kind.NUMBER,
          r"(?:标签|标[示注记识]|[袋瓶盒管壁面盖]|手写|写[有着的]|注明|可见|字样)[一-鿿]{0,4}:?[\"“‘'](?P<v>(?=[A-Z0-9-]{0,10}[0-9]{3})[A-Z0-9][A-Z0-9-]{3,14})"
          r"(?=[\"”’' ,])", accepts=accepting.tag),
    _rule("shape.film", Kind.NUMBER,
          r"(?P<v>(?:CT|MR|CR|DR|DX|XR|ECT|DSA)(?<![0-9A-Za-z-]CT)(?<![0-9A-Za-z-][MCDX]R)(?P<n>-[0-9]{4,10}|0[0-9]{3,9}|"
          r"[0-9]{6,10}))" + _R,
          "CT", "R", "DX", "DSA", accepts=accepting.film),
    _rule("label.film", Kind.NUMBER,
          r"(?:[片线](?<=[XX光胸平CTR线摄照腹]片)|片号|摄片|钼靶|造影|MRI|CT|MR|DR)(?:编?号|NO\.?|No\.?)?[ ]?[:#]?[ ]?"
          r"(?P<v>[A-Z]{0,2}(?P<n>[0-9]{5,9}|(?<=[片靶号:#])[0-9]{4}))"
          r"(?![0-9A-Za-z.%/×-]|[ ]?(?:HU|Hu|mm|cm|层|张|期|年|例|元|次))",
          "片", "CT", "MR", "DR", "钼靶", "造影", accepts=accepting.film),
    _rule("label.receipt", Kind.NUMBER,
          r"(?:借条|收条|欠条|押条|借据|收据|借片[单条]|借阅单|借阅条|存根|回执|签收单|交接单|送检单|申请单|领取单|取片单|通知单)"
          r"(?:编?号|第)?[ ]?[:#(]?[ ]?(?:N[oO]\.?[ ]?:?[ ]?)?"
          r"(?P<v>[A-Z]{0,3}-?(?=[0-9-]{0,9}[0-9]{3})[0-9]{2,8}(?:-[0-9]{1,6})?)"
          r"(?![0-9A-Za-z.%/-]|[ ]?[年月日张份元例枚块页])",
          "条", "据", "单", "存根", "回执", accepts=accepting.receipt),
    _rule("label.case_lent", Kind.CASE,
          r"(?:切片|玻片|蜡块|白片|HE片|片子|原片|染片)[共各]?[0-9一二三四五六七八九十两]{0,3}[张枚块片套盒]?\(编?号?[ :]?"
          r"(?P<v>[A-Z]{0,3}[0-9]{5,9}(?:-[0-9A-Z]{1,3}){0,2})(?=[),、;~])",
          "片", "蜡块", is_list=True),
    _rule("shape.number_dated", Kind.NUMBER,
          r"(?P<v>[0-9A-Z](?<![0-9A-Za-z./-]{2})(?:(?<=[A-Z])[A-Z]{0,3}[0-9]|(?<=2))[0-9](?:0[1-9]|1[0-2])"
          r"(?:0[1-9]|[12][0-9]|3[01])-[0-9]{2,5})(?![0-9A-Za-z.-])", "-"),
    _rule("shape.number_coded", Kind.NUMBER,
          r"(?P<v>[A-Z](?<![0-9A-Za-z./-][A-Z])[A-Z]{0,4}-[0-9]{3,6}-[0-9]{2,4})"
          r"(?![0-9A-Za-z-])", "-", accepts=accepting.case),
    _rule("shape.number_alone", Kind.NUMBER,
          r"(?P<v>[0-9](?<![0-9A-Za-z.-][0-9])[0-9]{3,4})(?=[ ]?(?:[,。;、\n]|$)|(?<=0[0-9]{3})号|(?<=0[0-9]{4})号)",
          accepts=accepting.alone),
    _rule("shape.case", Kind.CASE,
          r"(?P<v>[A-Za-z](?<![0-9A-Za-z.-]{2})[A-Za-z]{0,4}(?:-?(?:(?:19|20)[0-9]{2}|[0-9]{2})-[0-9]{3,7}|"
          r"-?(?:19|20)[0-9]{2}[0-9]{3,7}|-?[0-9]{7,9})(?![0-9])" + _CASE_SUFFIX + r")(?![0-9A-Za-z])",
          accepts=accepting.case, is_list=True),
    _rule("shape.case_year", Kind.CASE,
          r"(?P<v>[病冰细会尸活外检0-9]"
          r"(?<![0-9A-Za-z./-][病冰细会尸活外检])(?<![\u4e00-\u9fff](?<![号:为是见原示与和及阅诊理片块])[病冰细会尸"
          r"活外检])(?<![0-9A-Za-z./-][0-9])"
          r"(?:(?<=[0-9])[0-9]|[0-9]{2})(?:[0-9]{2})?-[0-9]{3,7}(?![0-9])" + _CASE_SUFFIX + r")(?![0-9A-Za-z.~%])", "-",
          accepts=accepting.case_year, is_list=True),
    _rule("label.case_lettered", Kind.CASE,
          r"(?:病理|尸检|剖检|外院|原片|冰冻|细胞|会诊|病检|外检|活检|切片|蜡块|石蜡|标本)(?:号|№|[Nn][Oo][.]?)?[ :]{0,2}"
          r"(?P<v>№?[A-Z]{1,2}(?<![CH]D)(?<!CK)(?:[0-9]{2}[ ][0-9]{3,6}|(?<![A-Z]{2})[0-9]{4,7})|"
          r"[A-Z]{1,2}20[0-9]{2}-[0-9]{1,3}|№[ ]?[0-9]{3,8}|20[0-3][0-9]\.[0-9]{4,6})(?![0-9A-Za-z.%/-])"),
    _rule("shape.case_lettered", Kind.CASE,
          r"(?P<v>[012A-Z](?<![0-9A-Za-z./-][012A-Z])(?:(?<=[012])[0-9](?:[0-9]{2})?(?:(?:-[A-Z]{1,2}-|[A-Z]{1,2}-|-[A-Z]{1,"
          r"2})[0-9]{3,7}|[A-Z][0-9]{4,7})|"
          r"(?<=[A-Z])[A-Z]{0,2}(?:[0-9]{2}(?:0[1-9]|1[0-2])-[0-9]{3,6}|(?:0[1-9]|1[0-2])(?:[0-2][0-9]|3[01])-[0-9]{1,3}|/(?:(?:19|20)[0-9]{2}|[0-9]{2})/[0-9]{4,7}|"
          r"[0-9]{2}/[0-9]{5,6}|20[0-9]{2}/[0-9]{4,6}))"
          + _CASE_SUFFIX + r")(?![0-9A-Za-z.%])"),
    _rule("shape.case_dated", Kind.CASE,
          r"\([ ]?(?P<v>[A-Z]{1,2}-?[0-9]{5,8})(?=[ ]?[,;、][ ]?(?:19|20)[0-9]{2}[-./年][0-9])", "("),
    _rule("shape.case_and_case", Kind.CASE,
          r"(?P<v>[A-Z](?<![0-9A-Za-z./-][A-Z])[A-Z]?[0-9]{6,8}(?=/[A-Z]{1,2}[0-9]{6,8}(?![0-9A-Za-z])))", "/"),
    _rule("shape.case_range", Kind.CASE,
          r"(?P<v>[0-9](?<![0-9A-Za-z./-][0-9])[0-9]-[0-9]{4,6})(?=[ ]?[~至][ ]?[0-9]{2}-[0-9]{4,6}(?![0-9]))", "~", "至"),
    _rule("shape.case_slash", Kind.CASE,
          r"(?P<v>[12](?<![0-9A-Za-z./-][12])[0-9]/(?![0-9]{1,3}000(?![0-9]))[0-9]{5,6})(?![0-9A-Za-z/%-]|\.[0-9]|"
          r"[ ]?(?:mm|HPF|[×x]))", "/"),
    _rule("shape.case_parts", Kind.CASE,
          r"(?P<v>[0-9A-Z](?<![0-9A-Za-z./-][0-9A-Z])(?:(?<=[0-9])[A-Z]-[0-9]{2}-[0-9]{3,6}|"
          r"(?<=[A-Z])(?<!C)[A-Z]{1,3}(?<!HPV)[0-9]{2}-[0-9]{1,3}-[0-9]{1,3}|"
          r"(?<=[A-Z])[A-Z]{1,3}(?<!HLA)-[A-Z][0-9]{4,8}|(?<=[A-Z])[0-9]{2}-[A-Z]{1,2}[0-9]{3,6}))(?![0-9A-Za-z.%-])", "-"),
    _rule("shape.case_han", Kind.CASE, r"(?P<v>第[ ]?[0-9]{3,8}[ ]?号?)", "第", accepts=accepting.case_han),
    _rule("shape.case_block", Kind.CASE,
          r"(?P<v>[0-9](?<![0-9A-Za-z./-][0-9])[0-9](?:0[1-9]|1[0-2])-[0-9]{3,5}#[0-9A-Z]{1,3})(?![0-9A-Za-z])", "#"),
    _rule("shape.case_listed", Kind.CASE,
          r"(?P<v>[A-Z](?<![0-9A-Za-z.-][A-Z])[A-Z]{0,3}(?:-[0-9]{2,6}|"
          r"[0-9]{3,6}))(?=[ ,:]{1,2}[一-鿿]{2,4}[ ,]{1,2}[男女](?![一-鿿]))",
          "男", "女"),
    _rule("shape.case_tail", Kind.CASE, r"(?P<v>[0-9](?<![^\n][0-9])[0-9]{4})(?=:[ ]?[一-鿿](?<![无未阴阳不]))", ":"),
    _rule("shape.document", Kind.CASE,
          r"(?P<v>[(\[](?:19|20)[0-9]{2}[)\]]年?(?:[一-鿿]{1,8}字第?|[一-鿿]{1,3}[0-9]{2,4}[一-鿿]{1,4}第?|第?(?<=[字鉴检案函)][(\[][0-9]{4}[)\]])|"
          r"(?<![一-鿿][(\[][0-9]{4}[)\]])[一-鿿]{1,6}第?)[0-9]{1,6}号)",
          "号", accepts=accepting.document),
    _rule("shape.case_han_year", Kind.CASE,
          r"(?P<v>[0-9](?<![0-9A-Za-z][0-9])[0-9](?:[0-9]{2})?年?(?:病理|外检|病检|细胞|冰冻|会诊|尸检|活检|病|会|冰)"
          r"(?:字)?[ ]?[0-9]{4,8}号?)"),
    _rule("shape.number", Kind.NUMBER, r"(?P<v>[0-9](?<![0-9][0-9])[0-9]{5,40}+)", accepts=accepting.long_number),
    _rule("shape.mixed_number", Kind.NUMBER,
          r"(?P<v>[0-9A-Z](?<![0-9A-Za-z_.:/+-]{2})(?=[A-Z]{0,6}[0-9][0-9A-Zl]{7})[0-9A-Zl]{8,40})" + _R,
          accepts=accepting.mixed),
    _rule("label.bed", Kind.BED,
          r"(?:床[ ]{0,2}位?[ ]{0,2}[号號]|床位|床别|病床|加床|床(?=[ ]?[:#])|床(?<![临瘤架起卧管基甲着]床)(?=[ ]?[0-9]{1"
          r",3}(?:-[0-9]{1,3})?(?:[,。;)\n]|$|[ ]{1,3}(?:住院|门诊|病理|病历|登记|诊断|姓名|性别|年龄|科|男|女)))|"
          r"Bed(?=[ ]?[:#])|BED(?=[ ]?[:#])|床号?更正为"
          r"|床位由)"
          r"[ ]{0,3}[:#|]?[ ]{0,4}(?:好像|应该|可能|大概)?[是为]?[ ]?" + _WARD
          + r"(?P<v>(?:(?<=:)[一-鿿](?<![约共第近需待])-?(?=[0-9]))?" + _BED
          + r"(?:[ ]?床)?)(?![0-9.]|[ ]?(?:cm|mm|×|x|[年月]))", "床", "Bed", "BED"),
    _rule("label.bed_change", Kind.BED,
          r"床(?![旁边])[^,。;\n]{0,12}?(?:更正为|改为|应为|调[至到]|转[至到]|换[至到])(?P<v>" + _BED + r")(?![0-9.年月次"
          r"天例])", "床"),
    _rule("shape.bed", Kind.BED, r"床(?![旁边头垫单上下前]|[ ]?号[ ]?[:#])", "床", accepts=accepting.bed),
    _rule("shape.bed_place", Kind.BED,
          r"(?P<v>(?:暖箱|保温箱|特需|层流[仓舱室床]?|移植(?:[仓舱]|病房)|监护[室床]|抢救[室床]?|留观[室床]?|观察室"
          r"|负压[室房]?|隔离[室间]|走廊|加床)[- ]?\+?[0-9]{1,3}床?)"
          r"(?=[ ]?(?:[,。;:、)\n]|$)|[ ]出生|观察|的|住院)"),
    _rule("shape.bed_short", Kind.BED,
          r"(?P<v>(?:[妇产眼儿泌骨](?<![^ ,;(|/\n。床][妇产眼儿泌骨])[一二三四五六]?[- ]?|[甲肝胃][乳胆肠]-)"
          r"(?:[0-9]{1,2}-)?[0-9]{1,3})"
          r"(?![0-9.%/-]|[ ]?[年月日岁个枚块例次天床克gcm×])(?=[ ]?(?:[,;。)\n|/]|$)|[ ][^\x00-\x7f])"),
    _rule("label.bed_ward", Kind.BED,
          r"病[ ]?区[ ]?:[ ]?[一-鿿]{2,6}[ ]?(?P<v>[A-Z]{0,2}[-+]?[0-9]{1,3}(?:-[0-9]{1,3})?)(?=[ ]?(?:[\n,;|]|$))", "区"),
    _rule("label.bed_spaced", Kind.BED, r"床 [号位][ ]?:?[ ]?(?P<v>[0-9](?: [0-9]){1,2})(?![0-9])", "床 "),
    _rule("shape.bed_department", Kind.BED,
          r"(?:[内外](?<=[胸普神泌心消][内外])|喉(?<=鼻喉)|[内外妇产儿骨液瘤腺吸化染症鼻谢肠肤喉疗]科)"
          r"(?:[一二三四五六]区?)?[ ]?"
          r"(?P<v>[A-Z]\+?[0-9]{1,3}(?=[ ]?(?:[。;)\n]|$))|[0-9]{2,3}(?=[ ]?(?:[。;)\n]|$)|,[ ]?[0-9]{7})|"
          r"[0-9]{1,2}-[0-9]{1,3}(?=[ ]?(?:[。;)\n|,]|$))|\+[0-9]{1,3}(?=,))",
          accepts=accepting.bed_of_department),
    _rule("shape.bed_cell", Kind.BED,
          r"(?:[一-鿿]科|病区|"
          r"[外内妇产儿骨][一二三四五六])[ ]?[|/][ ]?(?P<v>[A-Z]{0,2}\+?[0-9]{1,3}(?:-[0-9]{1,3})?)床?(?=[ ]?(?:[|/,]|"
          r"\n|$))",
          "|", "/"),
    _rule("shape.bed_room", Kind.BED, r"[,|、]"
        r"(?<!-[0-9][,|、])[ ]?(?P<v>[1-9][0-9]{2,3}-[0-9]{1,2})(?=[ ]?[,|、](?![ ]?[0-9]))", "-"),
    _rule("shape.bed_ward", Kind.BED,
          r"(?P<v>[NPSREMCIVT产隔抢监普](?<![0-9A-Za-z-][A-Z])(?:(?<=[NPSREM])ICU|(?<=C)CU|(?<=I)CU|(?<=V)IP|"
          r"(?<=T)X)(?:[- ]|"
          r"(?<=ICU))[0-9]{1,3}|"
          r"[产隔抢监普](?<![一-鿿](?<![院科房])[一-鿿])-[0-9]{2,3})"
          r"(?![0-9A-Za-z.%-]|[ ]?[天日次小时例年月周h])", "CU", "VIP", "TX", "-"),
    _rule("shape.bed_of_ward", Kind.BED,
          r"[区房内外科骨妇儿泌观](?:(?<=病区)|(?<=病房)|(?<=留观)|(?<=[内外科液骨瘤妇产儿泌][一二三四五六七八九十]区)|(?"
          r"=\+[0-9]{1,2}(?:转|床|号)))[ -]?"
          r"(?P<v>\+?(?:[A-D](?=[0-9]{2}))?[0-9]{1,3})(?![0-9A-Za-z.%/×x-]|[ ]?(?:枚|个|粒|组|张|块|例|岁|号楼|号"
          r"(?!床)|天|日|年|月|床|小时|间|"
          r"级|cm|mm))"),
)  # fmt: skip
_AGES = (
    _rule("shape.age", Kind.AGE,
          r"(?P<v>[91](?<![0-9.-][91])(?:(?<=9)[0-9]|(?<=1)[0-2][0-9]))(?![0-9])[ ]?(?:多|余|几)?"
          r"(?:周?岁|-?[ ]?[Yy]ears?[ -][Oo]ld|"
          r"[ ]?-?[ ]?[Yy]/?\.?[Oo](?![a-z])|[ ]?[Yy]rs?(?![a-z])|[ ]?-?[Yy]ear-?[Oo]ld|[ ]?[Yy]ears of age)", "9", "1",
          accepts=accepting.age),
    _rule("shape.age_sex", Kind.AGE,
          r"(?:[男女]|[FM](?<![A-Za-z][FM])(?=[/ ]))[ ,，/]{0,2}(?P<v>9[0-9]|1[01][0-9])"
          r"(?=[ ]?(?:[,。;|)\n]|/(?![0-9])|$)|[ ]{1,4}(?=[一-鿿](?<![次例个人"
          r"年]))"
          r")", "男", "女", "F/", "M/", "F ", "M "),
    _rule("label.age", Kind.AGE,
          r"(?:年[ ]{0,4}龄|A(?<![A-Za-z]A)(?:ged?|GED?)|a(?<![A-Za-z]a)(?:ged?|GED?)|享年|高龄)(?![A-Za-z])[ ]{0,3}"
          r"(?:[(\[][^()\[\]0-9\n]{1,6}[)\]])?[ ]{0,2}[:=|]?[ ]{0,6}(?P<v>9[0-9]|1[0-2][0-9])"
          r"(?![0-9.%+/-])(?:[ ]?周?岁)?", accepts=accepting.age),
    _rule("shape.age_han", Kind.AGE,
          r"(?P<v>(?:九十[一二三四五六七八九]?|一百(?:零?[一二三四五六七八九]|[一二]?十[一二三四五六七八九]?)?))(?:多|余)"
          r"?周?岁",
          "九十", "一百", accepts=accepting.age),
)  # fmt: skip
_ENGLISH = (
    _english("label.number_en", Kind.NUMBER,
             r"(?<![a-z0-9])(?:mrn|m\.r\.n\.?|mr(?=[ ]?#)|csn|fin|pid|emr|nhi|empi|mpi|epi|urn|(?:medical record|"
             r"med\.? rec\.?|med record|chart|patient|pt\.?|"
             r"encounter|visit|admission|adm\.?|inpatient|outpatient|hospital|hosp\.?|unit|order|requisition|req\.?|"
             r"barcode|sample|"
             r"container|episode|registration|reg\.?|subject|study|participant|record|file|his|lis|nhs|chi|health|"
             r"hospital unit|ward|"
             r"serial|device|implant|machine|scanner|imei|instrument|pacemaker|document|doc|report|reference|ref\.?|"
             r"tracking|bar code|"
             r"donor|transplant|unos|employee|badge|staff)" + _NO + r"|s/n|barcode)",
             _EN_SEP + _EN_VALUE, "mrn", "m.r.n", "mr#", "mr #", "csn", "fin", "pid", "emr", "nhi", "mpi", "epi", "urn",
             "no", "num", "#",
             "id", "nbr", "code", "s/n", "i.d"),
    _english("label.case_en", Kind.CASE,
             r"(?<![a-z0-9])(?:accession|(?:accession|acc\.?|access\.?|surgical|surg\.?|surg path|surgical path(?:ology)?|"
             r"pathology|path\.?|case|cytology|cyto|"
             r"specimen|slide|block|biopsy|autopsy|lab|laboratory|consult|consultation|outside|sp|procedure)" + _NO + r")",
             _EN_SEP + _EN_VALUE, "accession", "no", "num", "#", "id", least=4),
    _english("label.account_en", Kind.ACCOUNT,
             r"(?<![a-z0-9])(?:ssn|ss#|social security|dea|npi|vin|iban|imei|driver'?s licen[sc]e|drivers licen[sc]e|"
             r"(?:social security|account|acct\.?|policy|member|group|subscriber|insurance|"
             r"claim|medicare|medicaid|beneficiary|certificate|licen[sc]e|dl|credit card|card|"
             r"bank|routing|vehicle|vehicle identification|billing|guarantor|invoice|tax|ssn|health plan|"
             r"plan)" + _NO + r")",
             _EN_SEP + _EN_VALUE, "ssn", "ss#", "social", "dea", "npi", "vin", "iban", "imei", "driver", "no", "num", "#",
             "id"),
    _english("label.plate_en", Kind.ACCOUNT,
             r"(?:licen[sc]e plate|number plate|plate|vehicle registration|vehicle tag|rego)(?:" + _NO + r")?",
             _EN_SEP + r"(?P<v>(?:[a-z]{2}·[ ]?)?[a-z0-9]{1,4}[- ]?[a-z0-9]{2,5})(?![0-9a-z])", "plate",
             "vehicle", "rego", least=2),
)  # fmt: skip

ENGLISH_LABEL = Searched(
    r"[a-z#](?:[#:=]|\.?[ \n(])[ \n]{0,6}(?:is |was )?[#(\[]{0,2}[a-z]{0,5}[- ]?(?:[0-9*x][0-9*x-]{3}|"
    r"[0-9]{1,3}[- ][0-9a-z]{2})|plate|vehicle|rego",
    re.IGNORECASE,
)
"""What a text must hold for any rule with an English label to match."""
RULES: tuple[Rule, ...] = (*_DOCUMENTS, *_PHONES, *_NETWORK, *_NUMBERS, *_AGES, *_ENGLISH)
"""All rules but those for places, which are told by their last word."""
